//go:build linux

package epoll

import "net"

// addresses are the two ends of a connection. They outlive its descriptor, since that
// is when they are logged.
type addresses struct {
	local, remote endpoint
	other         *otherAddresses // of a kind that endpoint can't hold; nil: none
}

// An endpoint is an IP address and port in a third of a net.TCPAddr's memory.
type endpoint struct {
	ip   [16]byte
	port uint16
}

type otherAddresses struct{ local, remote net.Addr }

func addressesOf(conn net.Conn) addresses {
	local, ok := endpointOf(conn.LocalAddr())
	remote, too := endpointOf(conn.RemoteAddr())
	if ok && too {
		return addresses{local: local, remote: remote}
	}
	return addresses{other: &otherAddresses{conn.LocalAddr(), conn.RemoteAddr()}}
}

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

// LocalAddr returns our address, also after Close.
func (a *addresses) LocalAddr() net.Addr {
	if a.other != nil {
		return a.other.local
	}
	return a.local.addr()
}

// RemoteAddr returns the peer's address, also after Close.
func (a *addresses) RemoteAddr() net.Addr {
	if a.other != nil {
		return a.other.remote
	}
	return a.remote.addr()
}
