//go:build linux

package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"sync"
	"syscall"

	"github.com/seed004e8d11/websock/internal/socket"
)

// rawNet is raw over connections of package net: the least that a client has to do if the runtime's
// poller waits for it. Each connection has a goroutine, which waits without a buffer. A read follows an
// event, and none is made only to learn that nothing more has arrived.
type rawNet struct {
	*Work
	frames rawFrames
	in     sync.Pool
	mu     sync.Mutex
	conns  []*net.TCPConn
}

func newRawNet(w *Work) (Client, error) {
	r := &rawNet{Work: w, frames: newRawFrames(w.Payload)}
	r.in.New = func() any { return new([rawBuffer]byte) }
	return r, nil
}

func (r *rawNet) Dial(ctx context.Context) error {
	u, err := url.Parse(r.URL)
	if err != nil {
		return err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	if err := rawHandshake(conn); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = append(r.conns, conn.(*net.TCPConn))
	return nil
}

func (r *rawNet) Start() {
	for _, conn := range r.conns {
		c := &rawNetConn{rawNet: r}
		if r.Window > 0 {
			if _, err := conn.Write(r.frames.some(r.Window)); err != nil {
				r.Meter.Fail(err)
				return
			}
		}
		go func() { r.Meter.Fail(errors.Join(c.run(conn), c.err)) }()
	}
}

type rawNetConn struct {
	*rawNet
	part int // size of an incomplete frame
	err  error
}

func (c *rawNetConn) run(conn *net.TCPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(c.handle)
}

// handle reads once, answers, and returns false to wait for the next event.
func (c *rawNetConn) handle(fd uintptr) (done bool) {
	in := c.in.Get().(*[rawBuffer]byte)
	defer c.in.Put(in)
	n, err := socket.Read(int(fd), in[:])
	if err == syscall.EAGAIN {
		return false
	}
	if err != nil {
		c.err = err
		return true
	}
	frames, rest := c.frames.complete(c.part, n)
	c.part = rest
	if frames == 0 {
		return false
	}
	if c.Window > 0 {
		out := c.frames.some(frames)
		if n, err := socket.Write(int(fd), out); n < len(out) || err != nil {
			c.err = fmt.Errorf("write: %d bytes of %d: %w", n, len(out), err)
			return true
		}
	}
	c.Meter.Add(frames)
	return false
}
