package tls

import (
	"crypto/tls"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func TestOnlyOpenConnectionsOfThisPackageAreMoved(t *testing.T) {
	a, b := cable()
	moved, _ := connect(t, tls.VersionTLS13)
	move(t, moved, nil)
	for name, conn := range map[string]*tls.Conn{
		"made by crypto/tls":     tls.Client(a, &tls.Config{}),
		"before its handshake":   Server(b, &tls.Config{}),
		"moved already":          moved,
		"over something of ours": tls.Client(moved, &tls.Config{}),
	} {
		if under, ok := NetConn(conn); ok || under != nil {
			t.Errorf("%s: there is a connection below: %v", name, under)
		}
		if _, err := New(conn, newMemory(a), nil); err == nil {
			t.Errorf("%s: it can be moved", name)
		}
	}
}

func TestATransportThatCanNotCarryIsRefused(t *testing.T) {
	client, _ := connect(t, tls.VersionTLS13)
	var other struct{ engine.Transport } // no Pusher
	if _, err := New(client, other, nil); err == nil {
		t.Error("it was taken")
	}
	if _, ok := NetConn(client); !ok {
		t.Error("the connection was changed")
	}
}

func TestAddressesAreThoseOfTheCarrier(t *testing.T) {
	client, _ := connect(t, tls.VersionTLS13)
	for range 2 {
		if client.LocalAddr().String() != "local" || client.RemoteAddr().String() != "remote" {
			t.Error(client.LocalAddr(), client.RemoteAddr())
		}
		if _, ok := NetConn(client); ok {
			c, _ := move(t, client, nil)
			if c.LocalAddr().String() != "local" || c.RemoteAddr().String() != "remote" {
				t.Error(c.LocalAddr(), c.RemoteAddr())
			}
		}
	}
}
