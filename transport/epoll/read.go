//go:build linux

package epoll

import (
	"net"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// pullSize is how much a goroutine reads at once, into a buffer that is borrowed when there is
// something to read.
const pullSize = 16 << 10

// An input has bytes that were received and not consumed. A connection has one if a goroutine reads,
// or if its receiver has left bytes; else it uses the loop's while the receiver is called.
type input struct {
	view   []byte
	buffer *buffer.Buffer // memory of the view; nil: it is not to be given back
	err    error          // what comes after the view

	// For a goroutine that reads.
	ready  atomic.Bool // there may be something to read
	hungUp atomic.Bool // the peer has ended the stream, or it broke
	waiter timing.Waiter
}

// consume drops n bytes of the view, and gives its memory back after the last one.
func (in *input) consume(n int) {
	in.view = in.view[n:]
	if len(in.view) == 0 {
		in.drop()
	}
}

// drop drops the view.
func (in *input) drop() {
	in.view = nil
	if in.buffer != nil {
		in.buffer.Put()
		in.buffer = nil
	}
}

// empty reports whether there is neither a view nor an error after it.
func (in *input) empty() bool { return len(in.view) == 0 && in.err == nil }

// clone returns an input with a copy of the view.
func (in *input) clone() *input {
	if len(in.view) == 0 {
		return &input{err: in.err}
	}
	b := buffer.Get(len(in.view))
	b.B = append(b.B, in.view...)
	return &input{view: b.B, buffer: b, err: in.err}
}

// onEvents wakes the goroutine that reads.
func (in *input) onEvents(events uint32) {
	if events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0 {
		in.hungUp.Store(true)
	}
	in.ready.Store(true)
	in.waiter.Wake()
}

// View returns the bytes that were received, or waits for some. With a receiver it returns
// transport.ErrWouldBlock instead of waiting.
func (c *Conn) View() ([]byte, error) {
	switch in := c.in; {
	case in != nil && len(in.view) > 0:
		return in.view, nil
	case c.has(pushed):
		return nil, c.pushedError()
	}
	_, err := c.wait(nil)
	return c.in.view, err
}

// Consume drops n bytes of the view.
func (c *Conn) Consume(n int) { c.in.consume(n) }

// Read reads into p: the view if there is one, else from the descriptor. It waits as View does.
func (c *Conn) Read(p []byte) (int, error) {
	switch in := c.in; {
	case in != nil && len(in.view) > 0:
		n := copy(p, in.view)
		in.consume(n)
		return n, nil
	case c.has(pushed):
		return 0, c.pushedError()
	case len(p) == 0:
		return 0, nil
	}
	return c.wait(p)
}

// pushedError returns the error of View if there is a receiver and no view.
func (c *Conn) pushedError() error {
	switch {
	case c.has(sendFailed):
		return c.takeSendError()
	case c.in != nil && c.in.err != nil:
		return c.in.err
	}
	return transport.ErrWouldBlock
}

// wait waits for bytes and reads them into p, or to the view if p is nil.
//
// Epoll reports each arrival once, so there is no need for another read that only finds that
// there is no more. Only after a hang-up there is, since the end of the stream can be reported
// together with the last bytes.
func (c *Conn) wait(p []byte) (int, error) {
	in := c.beginPull()
	for {
		if c.has(sendFailed) {
			return 0, c.takeSendError()
		}
		if in.ready.Swap(false) {
			n, err := c.tryRead(in, p)
			if err != unix.EAGAIN {
				return n, err
			}
		}
		deadline, err := c.armForWait()
		if err != nil {
			return 0, err
		}
		if deadline.Passed() {
			// An event may not have been handled yet.
			n, err := c.tryRead(in, p)
			if err == unix.EAGAIN {
				err = os.ErrDeadlineExceeded
			}
			return n, err
		}
		in.waiter.Wait(deadline)
	}
}

// beginPull returns the input of a goroutine that reads.
func (c *Conn) beginPull() *input {
	if !c.has(pulled) {
		c.mu.Lock()
		if c.in == nil {
			c.in = &input{}
		}
		c.in.waiter.Init()
		c.in.ready.Store(true)
		c.state.Or(pulled)
		c.mu.Unlock()
	}
	return c.in
}

// armForWait has epoll report what arrives, and returns the deadline until which the caller may
// wait for it.
func (c *Conn) armForWait() (timing.Instant, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ref.closed() || c.has(lingering) {
		return 0, net.ErrClosed
	}
	return c.readDeadline, c.armLocked()
}

// tryRead reads once. The error is unix.EAGAIN if there is nothing to read.
func (c *Conn) tryRead(in *input, p []byte) (n int, err error) {
	if !c.ref.acquire() {
		return 0, net.ErrClosed
	}
	defer c.releaseFd()
	var b *buffer.Buffer
	if p == nil {
		b = buffer.Get(pullSize)
		p = b.B[:pullSize]
	}
	n, err = socket.RawRead(int(c.fd), p)
	if c.has(lingering) { // the loop may have discarded what came before
		n, err = 0, net.ErrClosed
	}
	if n == len(p) || in.hungUp.Load() {
		in.ready.Store(true)
	}
	switch {
	case b == nil:
	case n > 0:
		in.view, in.buffer = p[:n], b
	default:
		b.Put()
	}
	return n, err
}
