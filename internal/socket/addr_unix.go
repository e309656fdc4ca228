//go:build unix

package socket

import (
	"net/netip"
	"syscall"
)

// LocalAddr asks the system for the local address of a TCP socket. It returns the zero Addr if
// the system doesn't know.
func LocalAddr(fd int) (a Addr) {
	name, err := syscall.Getsockname(fd) // that of x/sys asks for the protocol, too
	if err != nil {
		return a
	}
	switch name := name.(type) {
	case *syscall.SockaddrInet4:
		return AddrFrom(netip.AddrPortFrom(netip.AddrFrom4(name.Addr), uint16(name.Port)))
	case *syscall.SockaddrInet6:
		return AddrFrom(netip.AddrPortFrom(netip.AddrFrom16(name.Addr), uint16(name.Port)))
	}
	return a
}
