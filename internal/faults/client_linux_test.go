package faults

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// wait is what the deadline that a fault is about is set to. All other deadlines are out of
// reach.
const wait = 100 * time.Millisecond

// A setting is how a client is set up.
type setting struct {
	transport string // "std" or "epoll"
	mode      string // "pull" or "push"
	scheme    string // "ws" or "wss"
}

var (
	transports = []string{"std", "epoll"}
	modes      = []string{"pull", "push"}
	schemes    = []string{"ws", "wss"}
	makers     = map[string]websock.Transport{"std": std.Transport(), "epoll": epoll.Transport()}
)

// settings are all there are.
func settings() (all []setting) {
	for _, transport := range transports {
		for _, mode := range modes {
			for _, scheme := range schemes {
				all = append(all, setting{transport, mode, scheme})
			}
		}
	}
	return all
}

// A client is the connection under test.
type client struct {
	*websock.Conn
	pushed bool
	ended  chan error // of the Handler
}

// An ending is how a connection ended for the client.
type ending struct {
	err   error         // that it got of the fault
	took  time.Duration // until then
	close error         // of Close, if it is another
}

// experience lets a client with a setting have the fault of the server at an address.
func experience(t *testing.T, f fault, s setting, addr string) (e ending) {
	begun := time.Now()
	c := &client{pushed: s.mode == "push", ended: make(chan error, 2)}
	cfg := c.config(f, s)
	if c.Conn, e.err = websock.Dial(t.Context(), s.scheme+"://"+addr, cfg); e.err != nil {
		e.took = time.Since(begun)
		return e
	}
	c.SendText([]byte("go")) // if it fails, so does what follows
	e.err = f.act(c)
	e.took = time.Since(begun)
	if err := c.Close(); !errors.Is(e.err, err) {
		e.close = err
	}
	return e
}

func (c *client) config(f fault, s setting) *websock.Config {
	cfg := &websock.Config{
		Transport: makers[s.transport],
		Proxy:     websock.NoProxy,
		NetDial:   dialNarrow,
		TLS:       &stdtls.Config{RootCAs: roots},
		Limits:    websock.Limits{CloseTimeout: time.Minute},
	}
	if c.pushed {
		cfg.Handler = websock.Messages(
			func(*websock.Conn, websock.Opcode, []byte) {},
			func(_ *websock.Conn, err error) { c.ended <- err },
		)
	}
	if f.deadline != nil {
		f.deadline.set(cfg)
	}
	return cfg
}

// dialNarrow dials a connection that doesn't take much before a sender has to wait.
func dialNarrow(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
	}
	return conn, err
}

// What a client does.

// receives receives until the end.
func receives(c *client) error {
	if c.pushed {
		return <-c.ended
	}
	var msg []byte
	for {
		_, m, err := c.RecvMessage(msg[:0])
		if err != nil {
			return err
		}
		msg = m
	}
}

// receivesInTime receives until a deadline.
func receivesInTime(c *client) error {
	if err := c.SetRecvDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	return receives(c)
}

// sends sends until that fails.
func sends(c *client) error {
	if err := c.SetSendDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	payload := make([]byte, 16<<10)
	for {
		if err := c.SendBinary(payload); err != nil {
			return err
		}
	}
}

// closes closes, and waits until that is done.
func closes(c *client) error {
	err := c.Close()
	if c.pushed {
		err = errors.Join(err, <-c.ended)
	}
	return err
}
