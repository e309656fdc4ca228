package socket

import (
	"net"
	"testing"
)

func TestAddrHoldsAddressesOfTCP(t *testing.T) {
	for _, want := range []*net.TCPAddr{
		{IP: net.IPv4(127, 0, 0, 1), Port: 80},
		{IP: net.IP{192, 0, 2, 1}, Port: 65535},
		{IP: net.ParseIP("2001:db8::1"), Port: 1},
	} {
		a, ok := AddrOf(want)
		if got := a.Addr(); !ok || got.String() != want.String() || got.Network() != "tcp" {
			t.Errorf("%v became %v, %v", want, got, ok)
		}
	}
}

func TestAddrRefusesWhatItCannotHold(t *testing.T) {
	link := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}
	for _, addr := range []net.Addr{link, &net.UnixAddr{Name: "/s", Net: "unix"}, &net.TCPAddr{Port: 2}} {
		if a, ok := AddrOf(addr); ok {
			t.Errorf("%v became %v", addr, a.Addr())
		}
	}
}
