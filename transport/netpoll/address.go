//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"

	"github.com/seed004e8d11/websock/internal/socket"
)

// addresses are those of a connection, in less memory than net.Addr takes.
type addresses struct {
	local, remote socket.Addr
	other         *[2]net.Addr // nil: a socket.Addr holds both
}

func addressesOf(conn net.Conn) addresses {
	local, ok := socket.AddrOf(conn.LocalAddr())
	remote, too := socket.AddrOf(conn.RemoteAddr())
	if ok && too {
		return addresses{local: local, remote: remote}
	}
	return addresses{other: &[2]net.Addr{conn.LocalAddr(), conn.RemoteAddr()}}
}

// LocalAddr returns our address, also after Close.
func (t *Conn) LocalAddr() net.Addr {
	if a := &t.addresses; a.other != nil {
		return a.other[0]
	}
	return t.addresses.local.Addr()
}

// RemoteAddr returns the peer's address, also after Close.
func (t *Conn) RemoteAddr() net.Addr {
	if a := &t.addresses; a.other != nil {
		return a.other[1]
	}
	return t.addresses.remote.Addr()
}
