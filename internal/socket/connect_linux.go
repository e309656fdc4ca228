package socket

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// keepAliveSeconds and keepAliveProbes are what net.Dialer sets by default.
const (
	keepAliveSeconds = 15
	keepAliveProbes  = 9
)

// OpenTCP opens a socket for a connection to addr. It doesn't block, and has the options that the zero
// net.Dialer sets.
func OpenTCP(addr netip.AddrPort) (fd int, err error) {
	family := unix.AF_INET6
	if addr.Addr().Unmap().Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	for _, option := range [...]struct{ level, name, value int }{
		{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveSeconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveSeconds},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveProbes},
	} {
		unix.SetsockoptInt(fd, option.level, option.name, option.value) // net.Dialer ignores errors, too
	}
	return fd, nil
}

// Sockaddr returns addr, which has no zone, as Connect takes it.
func Sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if ip := addr.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Addr: ip.As4(), Port: int(addr.Port())}
	}
	return &unix.SockaddrInet6{Addr: addr.Addr().As16(), Port: int(addr.Port())}
}

// Connect begins to connect a socket, or goes on. The error is unix.EAGAIN if that takes longer: then
// the socket becomes writable when it is done, and Connect has to be called again.
func Connect(fd int, to unix.Sockaddr) error {
	switch err := unix.Connect(fd, to); err {
	case nil, unix.EISCONN:
		return nil
	case unix.EINPROGRESS, unix.EALREADY, unix.EINTR:
		return unix.EAGAIN
	default:
		return os.NewSyscallError("connect", err)
	}
}
