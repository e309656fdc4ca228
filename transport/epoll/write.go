//go:build linux

package epoll

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// An output has what a Conn needs while bytes are queued, and after its end. It is guarded by the
// Conn's lock.
type output struct {
	queue      buffer.Queue
	err        error         // why nothing can be written any more
	changed    *sync.Cond    // for Drain; nil: no call has waited
	lingerDone chan struct{} // closed when lingering ends; nil: no call waits
	lingerErr  error         // the result of Linger
	local      socket.Addr   // the local address, after Close
}

// queued returns how many bytes are queued; o may be nil.
func (o *output) queued() int {
	if o == nil {
		return 0
	}
	return o.queue.Len()
}

// broadcast wakes calls of Drain.
func (o *output) broadcast() {
	if o.changed != nil {
		o.changed.Broadcast()
	}
}

func (c *Conn) ensureOutputLocked() *output {
	if c.out == nil {
		c.out = &output{}
	}
	return c.out
}

// Writev writes what the system takes at once, and queues the rest. It never waits for the peer.
func (c *Conn) Writev(bufs ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBehindLocked()
	return c.writevLocked(bufs)
}

func (c *Conn) writevLocked(bufs [][]byte) error {
	switch {
	case c.out != nil && c.out.err != nil:
		return c.out.err
	case c.has(limited) && c.writeDeadline.Passed():
		if c.out.queued() == 0 { // else the loop does it, and the receiver gets the error too
			c.failLocked(os.ErrDeadlineExceeded)
		}
		return os.ErrDeadlineExceeded
	}
	err := error(nil)
	if c.out.queued() == 0 {
		bufs, err = c.writeNowLocked(bufs)
	}
	if err == nil {
		err = c.enqueueLocked(bufs)
	}
	if err != nil {
		c.failLocked(err)
	}
	return err
}

// writeNowLocked writes what the system takes, and returns the rest. The descriptor can't be closed
// meanwhile, since close needs the lock.
func (c *Conn) writeNowLocked(bufs [][]byte) (rest [][]byte, err error) {
	if c.ref.closed() {
		return bufs, net.ErrClosed
	}
	if len(bufs) == 1 { // most have one, and RawWritev costs more
		n, err := socket.RawWrite(int(c.fd), bufs[0])
		bufs[0] = bufs[0][n:]
		return bufs, err
	}
	return socket.RawWritev(int(c.fd), bufs)
}

// enqueueLocked queues bufs, and has the loop write them when the system takes more.
func (c *Conn) enqueueLocked(bufs [][]byte) error {
	for _, p := range bufs {
		if len(p) > 0 {
			c.ensureOutputLocked().queue.Append(p)
		}
	}
	if c.out.queued() == 0 {
		return nil
	}
	c.state.Or(queueing)
	c.scheduleDeadlineLocked()
	return c.armLocked()
}

// failLocked ends writing for good.
func (c *Conn) failLocked(err error) {
	o := c.ensureOutputLocked()
	if o.err == nil {
		o.err = err
	}
	o.queue.Clear()
	c.state.And(^uint32(queueing))
	o.broadcast()
}

// failQueueLocked is failLocked for queued bytes. Since no call of Writev returns the error, View
// does.
func (c *Conn) failQueueLocked(err error) {
	c.failLocked(err)
	c.state.Or(sendFailed)
	if c.has(pulled) && !c.has(pushed) {
		c.in.waiter.Wake()
	}
}

// takeSendError returns the error of queued bytes to the reader, once.
func (c *Conn) takeSendError() error {
	c.state.And(^uint32(sendFailed))
	c.mu.Lock()
	defer c.mu.Unlock()
	return &transport.SendError{Err: c.out.err}
}

// Queued returns how many bytes are queued.
func (c *Conn) Queued() int {
	if !c.has(queueing) {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.queued()
}

// Unacknowledged returns how many of the bytes that are not queued any more the peer's system has
// not acknowledged yet.
func (c *Conn) Unacknowledged() int {
	if !c.ref.acquire() {
		return 0
	}
	defer c.releaseFd()
	return socket.Unacknowledged(int(c.fd))
}

// flush writes as much of the queue as the system takes. It reports whether the receiver has to be
// called: the queue has become empty, or can't be written.
func (c *Conn) flush() (callReceiver bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.out
	if o.queued() == 0 {
		return false
	}
	if err := c.writeQueueLocked(); err != nil {
		callReceiver = true
		c.failQueueLocked(err)
	} else if o.queued() == 0 {
		callReceiver = true
		c.state.And(^uint32(queueing))
		c.onDrainedLocked()
	}
	o.broadcast()
	if err := c.armLocked(); err != nil {
		callReceiver = true
		c.failQueueLocked(err)
	}
	return callReceiver
}

func (c *Conn) writeQueueLocked() error {
	if c.ref.closed() {
		return net.ErrClosed
	}
	n, err := socket.RawWrite(int(c.fd), c.out.queue.Bytes())
	c.out.queue.Drop(n)
	return err
}

// onDrainedLocked does what had to wait until the queue was empty.
func (c *Conn) onDrainedLocked() {
	if c.out.changed == nil && c.out.lingerDone == nil {
		c.out = nil
	}
	if c.has(writeClosed) {
		c.shutdownWriteLocked()
	}
}

// Queues returns true: Writev never waits.
func (c *Conn) Queues() bool { return true }

// TryWrite is Writev.
func (c *Conn) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, c.Writev(p) }

// Drain waits until at most most bytes are queued or ctx ends. If sending has failed, it returns
// that error, which is os.ErrDeadlineExceeded if the write deadline has passed; if ctx has ended,
// ctx.Err().
//
// It keeps the write deadline itself: the loop, which does otherwise, may be in a Handler that
// doesn't return.
func (c *Conn) Drain(ctx context.Context, most int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBehindLocked()
	if c.out.queued() <= most {
		return c.outputErrLocked()
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, c.wakeDrains)()
	}
	var timer *time.Timer // fires at the write deadline
	for at := timing.Instant(0); c.out.queued() > most; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.writeDeadline.Passed() {
			c.failQueueLocked(os.ErrDeadlineExceeded)
			if c.has(pushed) {
				defer c.schedule() // so that the receiver gets the error
			}
			break
		}
		if c.writeDeadline != at {
			at = c.writeDeadline
			if timer != nil {
				timer.Stop()
			}
			if at != 0 {
				timer = time.AfterFunc(time.Until(at.Time()), c.wakeDrains)
				defer timer.Stop()
			}
		}
		if c.out.changed == nil {
			c.out.changed = sync.NewCond(&c.mu)
		}
		c.out.changed.Wait()
	}
	return c.outputErrLocked()
}

// outputErrLocked returns why nothing can be sent any more, or nil.
func (c *Conn) outputErrLocked() error {
	if c.out != nil {
		return c.out.err
	}
	return nil
}

// wakeDrains makes calls of Drain check their contexts and the write deadline.
func (c *Conn) wakeDrains() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil {
		c.out.broadcast()
	}
}
