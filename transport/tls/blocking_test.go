package tls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// overStd returns a connection over a transport whose writes block, and its peer.
func overStd(t *testing.T) (*wstls.Conn, net.Conn) {
	t.Helper()
	a, b := netpair.Sockets(t, "tcp")
	client, server := netpair.SecuredBy(tls.VersionTLS13)(t, a, b)
	c, err := wstls.New(client.(*tls.Conn), std.New(a, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, server
}

// block has a goroutine write until it is blocked, and returns what becomes of it.
func block(c *wstls.Conn) <-chan error {
	done := make(chan error, 1)
	writes := make(chan bool, 1000)
	go func() {
		p := make([]byte, 100_000)
		for {
			if err := c.Writev(p); err != nil {
				done <- err
				return
			}
			writes <- true
		}
	}()
	for {
		select {
		case <-writes:
		case <-time.After(50 * time.Millisecond):
			return done
		}
	}
}

func TestABlockedWriteIsEnded(t *testing.T) {
	ends := map[string]func(c *wstls.Conn) error{
		"Close":  (*wstls.Conn).Close,
		"Linger": func(c *wstls.Conn) error { return c.Linger(10 * time.Millisecond) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			c, _ := overStd(t)
			blocked := block(c)
			if err := end(c); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			if err := <-blocked; !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
				t.Errorf("the write that was under way: %v", err)
			}
		})
	}
}

func TestCloseNotifiesAPeerOverATransportThatBlocks(t *testing.T) {
	c, peer := overStd(t)
	if err := c.Writev([]byte("all")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	secured := peer.(*tls.Conn)
	under, _ := wstls.NetConn(secured)
	strict, err := wstls.New(secured, std.New(under, nil), nil) // a tls.Conn takes any end
	if err != nil {
		t.Fatal(err)
	}
	defer strict.Close()
	if view, err := strict.View(); string(view) != "all" || err != nil {
		t.Fatalf("%q, %v", view, err)
	}
	strict.Consume(len("all"))
	if _, err := strict.View(); err != io.EOF {
		t.Error(err)
	}
}

func TestDrainDoesNotWaitWhereNothingIsQueued(t *testing.T) {
	c, _ := overStd(t)
	if err := c.Drain(context.Background(), 0); err != nil || c.Queued() != 0 || c.Queues() {
		t.Error(err, c.Queued(), c.Queues())
	}
}
