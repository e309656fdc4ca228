package h2_test

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// carriers are the transports that carry the sessions of a test.
var carriers = map[string]transport.Factory{
	"std":     std.Transport(),
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
}

// eachCarrier runs f over every transport, without TLS and with it.
func eachCarrier(t *testing.T, f func(t *testing.T, c carrier)) {
	for name, factory := range carriers {
		t.Run(name, func(t *testing.T) { f(t, carrier{factory: factory}) })
		t.Run(name+" over TLS", func(t *testing.T) { f(t, carrier{factory: factory, tls: tls13}) })
	}
}

const tls13 = 0x0304

// A carrier makes pairs of sessions.
type carrier struct {
	factory transport.Factory
	tls     uint16
}

// conns returns the two ends of a connection.
func (c carrier) conns(t testing.TB) (client, server transport.Conn) {
	t.Helper()
	a, b := netpair.Sockets(t, "tcp")
	if c.tls != 0 {
		a, b = netpair.SecuredBy(c.tls)(t, a, b)
	}
	return attach(t, c.factory, a), attach(t, c.factory, b)
}

func attach(t testing.TB, f transport.Factory, conn net.Conn) transport.Conn {
	t.Helper()
	c, err := websock.Attach(f, conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sessions returns two connected Sessions. A request is answered with status 200, and its stream sent
// to accepted.
func (c carrier) sessions(t testing.TB, clientConfig, serverConfig h2.Config) (client, server *h2.Session, accepted chan *h2.Stream) {
	t.Helper()
	a, b := c.conns(t)
	accepted = make(chan *h2.Stream, 1000)
	if serverConfig.Request == nil {
		serverConfig.Request = func(st *h2.Stream, h h2.Head) {
			st.SendHead(status("200"), false)
			accepted <- st
		}
	}
	server, err := h2.NewServer(b, serverConfig)
	if err != nil {
		t.Fatal(err)
	}
	client, err = h2.NewClient(a, clientConfig)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(0, nil); server.Close(0, nil) })
	return client, server, accepted
}

func status(code string) []hpack.HeaderField {
	return []hpack.HeaderField{{Name: ":status", Value: code}}
}

var connect = []hpack.HeaderField{
	{Name: ":method", Value: "CONNECT"},
	{Name: ":protocol", Value: "websocket"},
	{Name: ":scheme", Value: "http"},
	{Name: ":path", Value: "/"},
	{Name: ":authority", Value: "example.com"},
}

// open opens a stream and returns both ends.
func open(t testing.TB, client *h2.Session, accepted chan *h2.Stream) (a, b *h2.Stream) {
	t.Helper()
	a, err := client.Open(connect, false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := a.Head(ctx); err != nil {
		t.Fatal(err)
	}
	select {
	case b = <-accepted:
	case <-ctx.Done():
		t.Fatal("the request did not arrive")
	}
	return a, b
}

// readFull reads n bytes of a stream that has no receiver.
func readFull(t testing.TB, st *h2.Stream, n int) []byte {
	t.Helper()
	st.SetReadDeadline(time.Now().Add(patience))
	p := make([]byte, n)
	if got, err := io.ReadFull(st, p); err != nil {
		t.Fatalf("%d of %d bytes, then %v", got, n, err)
	}
	return p
}

// An echo is a Receiver that sends back what it receives.
type echo struct {
	st   *h2.Stream
	done chan error
	once sync.Once
}

func newEcho(st *h2.Stream) *echo { return &echo{st: st, done: make(chan error, 1)} }

func (e *echo) Readable() error {
	for {
		view, err := e.st.View()
		if err == transport.ErrWouldBlock {
			return nil
		}
		if err != nil {
			e.over(err)
			return err
		}
		e.st.Writev(view)
		e.st.Consume(len(view))
	}
}

func (e *echo) End(err error) { e.over(err) }
func (e *echo) Finish()       { e.st.CloseWrite(); e.st.Linger(time.Second) }

func (e *echo) over(err error) { e.once.Do(func() { e.done <- err }) }
