package tls

import (
	"crypto/tls"
	"io"
	"testing"

	"github.com/seed004e8d11/websock/transport"
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

func TestOverATransportThatCannotPushTheReceiverIsRefused(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	under, _ := NetConn(client)
	c, err := New(client, struct{ transport.Conn }{newMemory(under.(*end))}, nil) // no Pusher and no Queue
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Push(&drain{}); err != transport.ErrUnsupported {
		t.Errorf("Push: %v", err)
	}
	go io.WriteString(server, "pulled")
	if view, err := c.View(); string(view) != "p" && string(view) != "pulled" || err != nil {
		t.Errorf("View: %q, %v", view, err)
	}
	if err := c.Writev([]byte("sent")); err != nil || c.Queues() || c.Unacknowledged() != 0 || c.Drain(t.Context(), 0) != nil {
		t.Errorf("Writev: %v", err)
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
