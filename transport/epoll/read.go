//go:build linux

package epoll

import (
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// An input has bytes that were received and not consumed, of a connection that is
// pulled, or pushed and cut off in the middle, or in the loop's hands.
type input struct {
	view    []byte
	staging *buffer.Buffer // memory of the view; nil: not ours to give back
	err     error          // what comes after the view

	// For a goroutine that pulls.
	ready  atomic.Bool   // there may be something to read
	over   atomic.Bool   // the peer has ended its direction, or the stream broke
	signal chan struct{} // look again
	timer  *time.Timer   // makes the signal when the deadline has passed
}

// consume drops n bytes of the view. With the last one the memory is given back.
func (in *input) consume(n int) {
	in.view = in.view[n:]
	if len(in.view) == 0 {
		in.drop()
	}
}

func (in *input) drop() {
	in.view = nil
	if in.staging != nil {
		in.staging.Put()
		in.staging = nil
	}
}

// empty reports whether there is neither a view nor an error to come.
func (in *input) empty() bool { return len(in.view) == 0 && in.err == nil }

// keep returns an input with a copy of the view.
func (in *input) keep() *input {
	if len(in.view) == 0 {
		return &input{err: in.err}
	}
	b := buffer.Get(len(in.view))
	b.B = append(b.B, in.view...)
	return &input{view: b.B, staging: b, err: in.err}
}

// arrived tells who pulls of an event.
func (in *input) arrived(events uint32) {
	if events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0 {
		in.over.Store(true)
	}
	in.ready.Store(true)
	in.wake()
}

// wake makes who is parked look again. It may be called from any goroutine.
func (in *input) wake() {
	select {
	case in.signal <- struct{}{}:
	default: // it will anyway
	}
}

// park waits for a wake, or until the deadline.
func (in *input) park(deadline instant) {
	if deadline == 0 {
		<-in.signal
		return
	}
	left := time.Duration(deadline - now())
	if in.timer == nil {
		in.timer = time.AfterFunc(left, in.wake)
	} else {
		in.timer.Reset(left)
	}
	<-in.signal
	in.timer.Stop()
}

// pullSize is how much is read at once for a goroutine that pulls, into memory that is
// borrowed when there is something to read.
const pullSize = 16 << 10

// View returns the bytes that were read. With none there it waits for some, or when
// pushed answers transport.ErrWouldBlock.
func (c *Conn) View() ([]byte, error) {
	switch in := c.in; {
	case in != nil && len(in.view) > 0:
		return in.view, nil
	case c.is(pushed):
		return nil, c.pushError()
	}
	_, err := c.wait(nil)
	return c.in.view, err
}

// Consume drops n bytes of the view.
func (c *Conn) Consume(n int) { c.in.consume(n) }

// Read reads into p: what the view has, else from the descriptor, waiting as View does.
func (c *Conn) Read(p []byte) (int, error) {
	switch in := c.in; {
	case in != nil && len(in.view) > 0:
		n := copy(p, in.view)
		in.consume(n)
		return n, nil
	case c.is(pushed):
		return 0, c.pushError()
	case len(p) == 0:
		return 0, nil
	}
	return c.wait(p)
}

// pushError is what an empty view answers when pushed.
func (c *Conn) pushError() error {
	switch {
	case c.is(broken):
		return c.sendError()
	case c.in != nil && c.in.err != nil:
		return c.in.err
	}
	return transport.ErrWouldBlock
}

// wait waits for bytes and reads them into p, or to the view if p is nil.
//
// Epoll reports each arrival once, so a read that finds less than it could take is not
// repeated to be told that there is no more. Only where the stream has ended, which can
// come with its last bytes, it is.
func (c *Conn) wait(p []byte) (int, error) {
	in := c.beginPull()
	for {
		if c.is(broken) {
			return 0, c.sendError()
		}
		if in.ready.Swap(false) {
			n, err := c.tryRead(in, p)
			if err != unix.EAGAIN {
				return n, err
			}
		}
		deadline, err := c.mayPark()
		if err != nil {
			return 0, err
		}
		if deadline.passed() {
			// An event may be on its way.
			n, err := c.tryRead(in, p)
			if err == unix.EAGAIN {
				err = os.ErrDeadlineExceeded
			}
			return n, err
		}
		in.park(deadline)
	}
}

// beginPull returns the input of who pulls.
func (c *Conn) beginPull() *input {
	if !c.is(pulled) {
		c.mu.Lock()
		if c.in == nil {
			c.in = &input{}
		}
		c.in.signal = make(chan struct{}, 1)
		c.in.ready.Store(true)
		c.state.Or(pulled)
		c.mu.Unlock()
	}
	return c.in
}

// mayPark returns the deadline until which the caller may wait for an event.
func (c *Conn) mayPark() (instant, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uses.closed() || c.is(lingering) {
		return 0, net.ErrClosed
	}
	return c.readDeadline, c.arm()
}

// tryRead reads once. The error is unix.EAGAIN when there is nothing.
func (c *Conn) tryRead(in *input, p []byte) (n int, err error) {
	if !c.uses.acquire() {
		return 0, net.ErrClosed
	}
	defer c.release()
	if c.is(lingering) {
		return 0, net.ErrClosed
	}
	var b *buffer.Buffer
	if p == nil {
		b = buffer.Get(pullSize)
		p = b.B[:pullSize]
	}
	n, err = socket.Read(int(c.fd), p)
	if n == len(p) || in.over.Load() {
		in.ready.Store(true)
	}
	switch {
	case b == nil:
	case n > 0:
		in.view, in.staging = p[:n], b
	default:
		b.Put()
	}
	return n, err
}
