//go:build unix

package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// LocalAddr asks the system for the local address of a TCP socket. It returns the zero Addr if
// the system doesn't know.
func LocalAddr(fd int) (a Addr) {
	name, err := unix.Getsockname(fd)
	if err != nil {
		return a
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		a, _ = AddrOf(&net.TCPAddr{IP: name.Addr[:], Port: name.Port})
	case *unix.SockaddrInet6:
		a, _ = AddrOf(&net.TCPAddr{IP: name.Addr[:], Port: name.Port})
	}
	return a
}
