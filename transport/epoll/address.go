//go:build linux

package epoll

import (
	"net"

	"golang.org/x/sys/unix"
)

// An endpoint is an IP address and port, in a third of a net.TCPAddr's memory.
type endpoint struct {
	ip   [16]byte
	port uint16
}

// otherAddresses are those that an endpoint can't hold.
type otherAddresses struct{ local, remote net.Addr }

func endpointOf(addr net.Addr) (e endpoint, ok bool) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.Zone != "" || len(tcp.IP.To16()) != len(e.ip) {
		return e, false
	}
	copy(e.ip[:], tcp.IP.To16())
	e.port = uint16(tcp.Port)
	return e, true
}

func (e endpoint) addr() net.Addr {
	return &net.TCPAddr{IP: net.IP(e.ip[:]), Port: int(e.port)}
}

// noteAddresses keeps what can't be asked of the system later: the peer's address, which
// is logged when the connection is gone.
func (c *Conn) noteAddresses(conn net.Conn) {
	remote, ok := endpointOf(conn.RemoteAddr())
	if _, too := endpointOf(conn.LocalAddr()); ok && too {
		c.remote = remote
	} else {
		c.other = &otherAddresses{conn.LocalAddr(), conn.RemoteAddr()}
	}
}

// RemoteAddr returns the peer's address, also after Close.
func (c *Conn) RemoteAddr() net.Addr {
	if c.other != nil {
		return c.other.remote
	}
	return c.remote.addr()
}

// LocalAddr returns our address, also after Close.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.other != nil:
		return c.other.local
	case c.out != nil && c.out.local != (endpoint{}):
		return c.out.local.addr()
	}
	return c.askLocal().addr()
}

// askLocal asks the system for our address.
func (c *Conn) askLocal() (e endpoint) {
	if !c.uses.acquire() {
		return e
	}
	defer c.release()
	name, err := unix.Getsockname(int(c.fd))
	if err != nil {
		return e
	}
	switch name := name.(type) {
	case *unix.SockaddrInet4:
		e, _ = endpointOf(&net.TCPAddr{IP: name.Addr[:], Port: name.Port})
	case *unix.SockaddrInet6:
		e, _ = endpointOf(&net.TCPAddr{IP: name.Addr[:], Port: name.Port})
	}
	return e
}
