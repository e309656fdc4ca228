package loadgen

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/std"
)

// A lateConn says that a message was written only when the gate has opened.
type lateConn struct {
	net.Conn
	gate <-chan struct{}
}

func (c lateConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if len(p) > 10_000 {
		<-c.gate
	}
	return n, err
}

func TestAMessageIsCountedAlsoIfItsEchoComesFirst(t *testing.T) {
	over, gate := make(chan struct{}), make(chan struct{})
	serve := serveEchoAfter(func() { <-over }) // so that no other message is sent
	g := New(Config{
		Targets: []fanout.Target{{
			URL: startServer(t, func(string) func(*websock.Conn) { return serve }),
			Config: websock.Config{Transport: std.Transport(), NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				return lateConn{conn, gate}, err
			}},
		}},
		Connections: 1,
		Message:     payload.New(false, 50_000), // more than windowFitsQueue allows
		Window:      1,
	})
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Exchange(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	close(over)
	e := g.slots[0].conn.Load().conversation.(*echo)
	for end := time.Now().Add(time.Minute); e.echoed.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no echo comes")
		}
	}
	if n, sent := g.inFlight(), g.Snapshot().Sent; n != 1 || sent != 0 {
		t.Errorf("%d in flight, %d counted as sent", n, sent)
	}
	close(gate)
	result, _ := g.Finish(t.Context(), time.Minute)
	if f := result.Final; f.Sent != 1 || f.Received != 1 || len(result.Errors) > 0 {
		t.Errorf("%+v", result)
	}
}
