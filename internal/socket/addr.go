package socket

import (
	"net"
	"net/netip"
)

// An Addr is an IP address and a port, in a third of the memory of a net.TCPAddr. The zero value
// is no address.
type Addr struct {
	ip   [16]byte
	port uint16
}

// AddrOf returns addr as an Addr, and false if an Addr can't hold it: that of a Unix socket, and
// one with a zone.
func AddrOf(addr net.Addr) (a Addr, ok bool) {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || tcp.Zone != "" || len(tcp.IP.To16()) != len(a.ip) {
		return a, false
	}
	copy(a.ip[:], tcp.IP.To16())
	a.port = uint16(tcp.Port)
	return a, true
}

// AddrFrom returns an address that has no zone as an Addr.
func AddrFrom(addr netip.AddrPort) Addr { return Addr{addr.Addr().As16(), addr.Port()} }

// Addr returns a as a *net.TCPAddr.
func (a Addr) Addr() net.Addr {
	return &net.TCPAddr{IP: net.IP(a.ip[:]), Port: int(a.port)}
}
