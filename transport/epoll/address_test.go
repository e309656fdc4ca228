//go:build linux

package epoll

import (
	"net"
	"testing"

	"github.com/seed004e8d11/websock/internal/netpair"
)

// sockets is netpair.Sockets also for "tcp6".
func sockets(t *testing.T, network string) (client, server net.Conn) {
	if network != "tcp6" {
		return netpair.Sockets(t, network)
	}
	l, err := net.Listen(network, "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

func TestAddressesAreKnownAlsoAfterClose(t *testing.T) {
	for _, network := range []string{"tcp", "tcp6", "unix"} {
		for _, asked := range []bool{false, true} { // also before
			t.Run(network, func(t *testing.T) {
				client, _ := sockets(t, network)
				local, remote := client.LocalAddr().String(), client.RemoteAddr().String()
				transport, err := Loops(1).Attach(client, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer transport.Close()
				check := func(when string) {
					t.Helper()
					if got := transport.LocalAddr(); got.String() != local || got.Network() != client.LocalAddr().Network() {
						t.Errorf("%s, our address is %v, want %s", when, got, local)
					}
					if got := transport.RemoteAddr(); got.String() != remote {
						t.Errorf("%s, the peer's address is %v, want %s", when, got, remote)
					}
				}
				if asked {
					check("while open")
				}
				transport.Close()
				check("after Close")
				transport.Close()
				check("after another Close")
			})
		}
	}
}

func TestAddressesWithAZoneAreKept(t *testing.T) {
	link := &net.TCPAddr{IP: net.ParseIP("fe80::1"), Port: 1, Zone: "eth0"}
	c := &Conn{}
	c.noteAddresses(addressed{local: link, remote: link})
	if c.LocalAddr() != link || c.RemoteAddr() != link {
		t.Errorf("%v, %v", c.LocalAddr(), c.RemoteAddr())
	}
}

// addressed is a net.Conn of which only the addresses are asked.
type addressed struct {
	net.Conn
	local, remote net.Addr
}

func (a addressed) LocalAddr() net.Addr  { return a.local }
func (a addressed) RemoteAddr() net.Addr { return a.remote }
