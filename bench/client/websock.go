//go:build linux

package client

import (
	"context"
	"errors"
	"sync"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// transports has the transports of websock.
var transports = map[string]websock.Transport{
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
	"std":     std.Transport(),
}

// pushed is websock with a Handler that sends: the answers to the messages of one read are one write.
type pushed struct {
	*Work
	config websock.Config
	mu     sync.Mutex
	conns  []*websock.Conn
}

func newPushed(w *Work, t websock.Transport) Client {
	c := &pushed{Work: w}
	c.config = websock.Config{
		TLS:         w.TLS,
		Proxy:       websock.NoProxy,
		Transport:   t,
		Compression: compression(w),
		Handler:     websock.Messages(c.deliver, c.finish),
	}
	return c
}

func (c *pushed) deliver(conn *websock.Conn, _ websock.Opcode, msg []byte) {
	if c.received(len(msg)) {
		conn.SendBinary(c.next()) // a failure shows in finish
	}
}

func (c *pushed) finish(_ *websock.Conn, err error) { c.Meter.Fail(err) }

func (c *pushed) Dial(ctx context.Context) error {
	conn, err := websock.Dial(ctx, c.URL, &c.config)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return nil
}

func (c *pushed) Start() {
	for _, conn := range c.conns {
		for range c.Window {
			if err := conn.SendBinary(c.next()); err != nil {
				c.Meter.Fail(errors.Join(errors.New("sending the first messages"), err))
			}
		}
	}
}

func compression(w *Work) websock.Compression {
	if !w.compresses() {
		return websock.Compression{}
	}
	takeover := w.Compression == Takeover
	return websock.Compression{Level: 1, SendTakeover: takeover, RecvTakeover: takeover}
}

// Cast implements Caster.
func (c *pushed) Cast() error { return c.conns[0].SendText(c.Payload) }

// dialPulled is websock with Recv.
func dialPulled(t websock.Transport) func(context.Context, *Work) (link, error) {
	return func(ctx context.Context, w *Work) (link, error) {
		conn, err := websock.Dial(ctx, w.URL, &websock.Config{TLS: w.TLS, Proxy: websock.NoProxy, Transport: t, Compression: compression(w)})
		if err != nil {
			return nil, err
		}
		return &websockLink{conn, make([]byte, len(w.Payload)+1)}, nil
	}
}

type websockLink struct {
	conn *websock.Conn
	buf  []byte
}

func (l *websockLink) Send(p []byte) error { return l.conn.SendBinary(p) }

func (l *websockLink) Receive() (size int, err error) {
	for {
		h, n, err := l.conn.Recv(l.buf)
		if err != nil {
			return 0, err
		}
		size += n
		if h.Fin && h.Remaining == 0 && h.Opcode >= 0 {
			return size, nil
		}
	}
}
