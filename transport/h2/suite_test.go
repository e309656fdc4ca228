package h2_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/transporttest"
)

// A stream is tested as every other transport: as the only one of its connection.
func TestTransport(t *testing.T) {
	for name, f := range map[string]transport.Factory{
		"std":     std.Transport(),
		"epoll":   ownLoops{},
		"netpoll": netpoll.Transport(),
	} {
		suite := transporttest.Suite{
			Factory:  streams{},
			Networks: []string{"tcp"},
			Over:     carrier{factory: f}.over,
			Parallel: !race.Enabled,
		}
		if !race.Enabled || name == "epoll" { // else it would take long, and TLS does all that is done without it
			t.Run(name, suite.Run)
		}
		suite.TLS = tls13
		suite.EchoAllocs = 12 // of crypto/tls, for records that arrive in several reads
		t.Run(name+" over TLS", suite.Run)
	}
}

// ownLoops gives each connection an event loop of its own, so that a Handler that blocks delays neither
// its peer nor other tests.
type ownLoops struct{}

func (ownLoops) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return epoll.Loops(1).Attach(conn, early)
}

// A streamConn is a Stream as a net.Conn, which streams carries.
type streamConn struct {
	*h2.Stream
	reading *sync.Mutex // a net.Conn may be read by several goroutines
}

func newStreamConn(st *h2.Stream) net.Conn { return streamConn{st, new(sync.Mutex)} }

func (c streamConn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.Stream.Read(p)
}

func (c streamConn) Write(p []byte) (int, error) {
	if err := c.Writev(p); err != nil {
		return 0, err
	}
	return len(p), c.Drain(context.Background(), 0)
}

func (c streamConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// Close does what close(2) does to a socket: what was written is sent.
func (c streamConn) Close() error {
	c.CloseWrite()
	return c.Stream.Close()
}

// SetLinger resets the stream, as Close does with a TCP connection after SetLinger(0).
func (c streamConn) SetLinger(int) error {
	c.Reset(http2.ErrCodeCancel)
	return nil
}

// streams is a Factory that carries streamConns.
type streams struct{}

func (streams) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	c, ok := conn.(streamConn)
	if !ok {
		return nil, transport.ErrUnsupported
	}
	if len(early) > 0 {
		c.Unread(early)
	}
	return c.Stream, nil
}

// over puts a Session over each end of a connection, and returns the two ends of a stream.
func (c carrier) over(t testing.TB, client, server net.Conn) (net.Conn, net.Conn) {
	t.Helper()
	accepted := make(chan *h2.Stream, 1)
	far, err := h2.NewServer(attach(t, c.factory, server), h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		st.SendHead(status("200"), false)
		accepted <- st
	}})
	if err != nil {
		t.Fatal(err)
	}
	near, err := h2.NewClient(attach(t, c.factory, client), h2.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(http2.ErrCodeNo, nil); far.Close(http2.ErrCodeNo, nil) })
	a, b := open(t, near, accepted)
	return newStreamConn(a), newStreamConn(b)
}
