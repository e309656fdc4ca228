package tls

import (
	"crypto/tls"
	"io"
	"os"
	"testing"
	"time"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
)

func TestNewRejectsOtherConnections(t *testing.T) {
	a, b := memPipe()
	moved, _ := connect(t, tls.VersionTLS13)
	move(t, moved, nil)
	for name, conn := range map[string]*tls.Conn{
		"made by crypto/tls":     tls.Client(a, &tls.Config{}),
		"before its handshake":   Server(b, &tls.Config{}),
		"moved already":          moved,
		"over something of ours": tls.Client(moved, &tls.Config{}),
	} {
		if under, ok := NetConn(conn); ok || under != nil {
			t.Errorf("%s: NetConn returned %v", name, under)
		}
		if _, err := New(conn, newFakeTransport(a), nil); err == nil {
			t.Errorf("%s: New succeeded", name)
		}
	}
}

func TestInnerTransportWithoutPusherAndQueue(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	under, _ := NetConn(client)
	c, err := New(client, struct{ transport.Conn }{newFakeTransport(under.(*memConn))}, nil) // no Pusher and no Queue
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Push(&drainReceiver{}); err != transport.ErrUnsupported {
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

func TestAddrsAreThoseOfInnerTransport(t *testing.T) {
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

func TestStructSizes(t *testing.T) {
	const most = 112
	for name, size := range map[string]uintptr{"Conn": unsafe.Sizeof(Conn{}), "wire": unsafe.Sizeof(wire{})} {
		if size > most {
			t.Errorf("a %s takes %d bytes, want at most %d", name, size, most)
		}
		t.Logf("%s: %d bytes", name, size)
	}
}

func TestIdleConnHoldsNoBuffer(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, _ := move(t, client, nil)
	check := func(when string) {
		t.Helper()
		if c.view != nil || c.viewBuf != nil || c.wire.out.pending != nil {
			t.Errorf("a buffer is held %s", when)
		}
	}
	server.Write(plaintext(100))
	for range 2 {
		view, err := c.View()
		if err != nil {
			t.Fatal(err)
		}
		c.Consume(len(view) - 50)
		if len(view) == 50 {
			c.Consume(50)
			break
		}
	}
	check("after the last byte")
	c.SetReadDeadline(time.Now().Add(time.Millisecond))
	if _, err := c.View(); err != os.ErrDeadlineExceeded {
		t.Fatal(err)
	}
	check("after a wait")
	c.Writev(plaintext(100))
	check("after a write")
}

// feed returns a function that makes the next of n records arrive on m, as from an event loop.
func feed(m *fakeTransport, server *tls.Conn, message []byte, n int) func() {
	m.receiver = &drainReceiver{}
	m.view = m.in.take()
	var records [][]byte
	for range n {
		server.Write(message)
		records = append(records, m.in.take())
	}
	return func() { m.view, records = records[0], records[1:] }
}

func TestAllocsAreThoseOfCryptoTLS(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	const messages = 1000
	eachVersion(t, func(t *testing.T, version uint16) {
		message, into := plaintext(1000), make([]byte, 2000)
		client, server := connect(t, version)
		c, m := move(t, client, nil)
		arrive := feed(m, server, message, 2*messages+2)
		standard := testing.AllocsPerRun(messages, func() {
			arrive()
			for n := 1; n > 0; {
				n, _ = client.Read(into)
			}
		})
		reading := testing.AllocsPerRun(messages, func() {
			arrive()
			for {
				view, err := c.View()
				if err != nil {
					break
				}
				c.Consume(len(view))
			}
		})
		m.out.data = make([]byte, 0, 2*messages*len(message))
		writing := testing.AllocsPerRun(messages, func() { c.Writev(message, message[:10]) })
		t.Logf("a message read: %v, by a tls.Conn alone %v; written: %v", reading, standard, writing)
		if reading > standard || writing > 0 {
			t.Error("too many allocations")
		}
	})
}
