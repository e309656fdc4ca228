//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"net/netip"
)

// addresses are those of a connection, in less memory than net.Addr takes.
type addresses struct {
	local, remote netip.AddrPort
	other         *[2]net.Addr // nil: both are those of TCP
}

func addressesOf(conn net.Conn) addresses {
	local, ok := conn.LocalAddr().(*net.TCPAddr)
	remote, too := conn.RemoteAddr().(*net.TCPAddr)
	if ok && too {
		return addresses{local: local.AddrPort(), remote: remote.AddrPort()}
	}
	return addresses{other: &[2]net.Addr{conn.LocalAddr(), conn.RemoteAddr()}}
}

// LocalAddr returns our address, also after Close.
func (t *Conn) LocalAddr() net.Addr {
	if a := &t.addresses; a.other != nil {
		return a.other[0]
	}
	return net.TCPAddrFromAddrPort(t.addresses.local)
}

// RemoteAddr returns the peer's address, also after Close.
func (t *Conn) RemoteAddr() net.Addr {
	if a := &t.addresses; a.other != nil {
		return a.other[1]
	}
	return net.TCPAddrFromAddrPort(t.addresses.remote)
}
