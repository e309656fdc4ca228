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

// wait is the time of the deadline that a fault is about, and that passes. All other deadlines are too long to
// matter.
const wait = 500 * time.Millisecond

// A setting is a configuration of a client.
type setting struct {
	transport string // "std" or "epoll"
	mode      string // "pull" or "push"
	scheme    string // "ws" or "wss"
	http2     bool
}

var (
	transports = []string{"std", "epoll"}
	modes      = []string{"pull", "push"}
	schemes    = []string{"ws", "wss"}
	factories  = map[string]websock.Transport{"std": std.Transport(), "epoll": epoll.Transport()}
)

// settings returns all settings, with HTTP/2 or without.
func settings(http2 bool) (all []setting) {
	for _, transport := range transports {
		for _, mode := range modes {
			for _, scheme := range schemes {
				all = append(all, setting{transport, mode, scheme, http2})
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

// A result is how a connection ended for the client.
type result struct {
	err   error         // of the call that the fault interrupted, or of OnClose
	took  time.Duration // until then
	close error         // of Close, if it differs
}

// run connects a client to the server at an address and returns how the connection ended.
func run(t *testing.T, f fault, s setting, addr string) (r result) {
	c := &client{pushed: s.mode == "push", ended: make(chan error, 2)}
	cfg := c.config(f, s)
	if s.http2 {
		cfg.Mux = &websock.Mux{Cleartext: true}
		defer closeMux(t, f, cfg.Mux)
	}
	started := time.Now()
	if c.Conn, r.err = websock.Dial(t.Context(), s.scheme+"://"+addr, cfg); r.err != nil {
		r.took = time.Since(started)
		return r
	}
	c.SendText([]byte("go")) // an error shows in the next call
	r.err = f.act(c)
	r.took = time.Since(started)
	if err := c.Close(); !errors.Is(r.err, err) {
		r.close = err
	}
	return r
}

// closeMux closes a Mux. What is still to be written is lost then, so the server's end comes first if it
// follows the client's close frame.
func closeMux(t *testing.T, f fault, m *websock.Mux) {
	if f.closes {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		m.Shutdown(ctx)
	}
	m.Close()
}

func (c *client) config(f fault, s setting) *websock.Config {
	cfg := &websock.Config{
		Transport: factories[s.transport],
		Proxy:     websock.NoProxy,
		NetDial:   dialSmallBuffer,
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

// dialSmallBuffer dials a connection on which a sender has to wait soon.
func dialSmallBuffer(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		err = conn.(*net.TCPConn).SetWriteBuffer(16 << 10)
	}
	return conn, err
}

// What a client does:

// receives receives until the connection ends.
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

// receivesInTime receives with a deadline.
func receivesInTime(c *client) error {
	if err := c.SetRecvDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	return receives(c)
}

// sends sends with a deadline until a send fails. A client that refuses what a full queue has no room for needs
// some time to fill it, but not all of the deadline.
func sends(c *client) error {
	deadline := time.Now().Add(wait)
	if c.pushed && c.Queues() {
		deadline = time.Now().Add(time.Minute)
	}
	if err := c.SetSendDeadline(deadline); err != nil {
		return err
	}
	payload := make([]byte, 16<<10)
	for {
		if err := c.SendBinary(payload); err != nil {
			return err
		}
	}
}

// closes closes the connection and waits for its end.
func closes(c *client) error {
	err := c.Close()
	if c.pushed {
		err = errors.Join(err, <-c.ended)
	}
	return err
}
