//go:build linux

package epoll

import (
	"net"

	"github.com/seed004e8d11/websock/internal/socket"
)

// otherAddresses are those that a socket.Addr can't hold.
type otherAddresses struct{ local, remote net.Addr }

// noteAddresses keeps what can't be asked of the system later: the peer's address, which
// is logged when the connection is gone.
func (c *Conn) noteAddresses(conn net.Conn) {
	remote, ok := socket.AddrOf(conn.RemoteAddr())
	if _, too := socket.AddrOf(conn.LocalAddr()); ok && too {
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
	return c.remote.Addr()
}

// LocalAddr returns our address, also after Close.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.other != nil:
		return c.other.local
	case c.out != nil && c.out.local != (socket.Addr{}):
		return c.out.local.Addr()
	}
	return c.askLocal().Addr()
}

// askLocal asks the system for our address.
func (c *Conn) askLocal() (a socket.Addr) {
	if !c.uses.acquire() {
		return a
	}
	defer c.release()
	return socket.LocalAddr(int(c.fd))
}
