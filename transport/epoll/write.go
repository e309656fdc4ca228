//go:build linux

package epoll

import (
	"context"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/sendbuf"
	"github.com/seed004e8d11/websock/transport"
)

// An output has bytes that the peer has not taken yet.
type output struct {
	queue *buffer.Buffer // nil: none
	start int            // of what has not left
	err   error          // why nothing can be written any more
	moved *sync.Cond     // some has left, or it is over; nil: nobody waits
	done  chan struct{}  // closed when lingering ends; nil: nobody waits
	ended error          // how
	local endpoint       // our address, once the descriptor is closed
}

func (o *output) queued() int {
	if o == nil || o.queue == nil {
		return 0
	}
	return len(o.queue.B) - o.start
}

// add queues p.
func (o *output) add(p []byte) {
	if len(p) == 0 {
		return
	}
	if o.queue == nil {
		o.queue = buffer.Get(len(p))
	}
	if o.start > len(o.queue.B)/2 {
		o.queue.B = o.queue.B[:copy(o.queue.B, o.queue.B[o.start:])]
		o.start = 0
	}
	o.queue.Grow(len(p))
	o.queue.B = append(o.queue.B, p...)
}

// drop empties the queue.
func (o *output) drop() {
	if o.queue != nil {
		o.queue.Put()
		o.queue, o.start = nil, 0
	}
}

// tell wakes those who wait for room.
func (o *output) tell() {
	if o.moved != nil {
		o.moved.Broadcast()
	}
}

// output returns the connection's output, which exists only while it is needed. The lock
// is held.
func (c *Conn) output() *output {
	if c.out == nil {
		c.out = &output{}
	}
	return c.out
}

// Writev sends what the system takes at once, and queues the rest.
func (c *Conn) Writev(bufs ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.out != nil && c.out.err != nil:
		return c.out.err
	case c.writeDeadline.passed():
		if c.out.queued() == 0 { // else the loop does it, and tells the receiver
			c.fail(os.ErrDeadlineExceeded)
		}
		return os.ErrDeadlineExceeded
	}
	for c.out.queued() == 0 && len(bufs) > 0 {
		n, err := c.send(bufs[0])
		if err != nil {
			c.fail(err)
			return err
		}
		if n < len(bufs[0]) { // there may be room again: nothing must overtake the rest
			bufs[0] = bufs[0][n:]
			break
		}
		bufs = bufs[1:]
	}
	if err := c.enqueue(bufs); err != nil {
		c.fail(err)
		return err
	}
	return nil
}

// enqueue queues what has not left.
func (c *Conn) enqueue(bufs [][]byte) error {
	for _, p := range bufs {
		if len(p) > 0 {
			c.output().add(p)
		}
	}
	if c.out.queued() == 0 {
		return nil
	}
	c.state.Or(queues)
	c.schedule()
	return c.arm()
}

// send writes until all of p has left or the system takes no more.
func (c *Conn) send(p []byte) (sent int, err error) {
	if !c.uses.acquire() {
		return 0, net.ErrClosed
	}
	defer c.release()
	for sent < len(p) {
		n, err := write(int(c.fd), p[sent:])
		if err == unix.EAGAIN {
			break
		}
		if err != nil {
			return sent, err
		}
		sent += n
	}
	return sent, nil
}

// fail ends writing for good. The lock is held.
func (c *Conn) fail(err error) {
	o := c.output()
	if o.err == nil {
		o.err = err
	}
	o.drop()
	c.state.And(^uint32(queues))
	o.tell()
}

// failQueue is fail for what is queued, which concerns the reader: nobody is told by Writev. The lock
// is held.
func (c *Conn) failQueue(err error) {
	c.fail(err)
	c.state.Or(broken)
	if c.is(pulled) && !c.is(pushed) {
		c.in.wake()
	}
}

// sendError tells the reader, once.
func (c *Conn) sendError() error {
	c.state.And(^uint32(broken))
	c.mu.Lock()
	defer c.mu.Unlock()
	return &transport.SendError{Err: c.out.err}
}

// Queued returns how many bytes wait for the peer.
func (c *Conn) Queued() int {
	if !c.is(queues) {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.queued()
}

// Unacknowledged returns how many of the bytes that are not queued any more the peer's system has
// not acknowledged yet.
func (c *Conn) Unacknowledged() int {
	if !c.uses.acquire() {
		return 0
	}
	defer c.release()
	return sendbuf.Unacknowledged(uintptr(c.fd))
}

// Flush sends of what is queued as much as the system takes.
func (c *Conn) Flush() error {
	if c.flush() && c.is(pushed) {
		c.call() // the receiver has to hear of it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outputError()
}

// flush sends of what is queued as much as the system takes, and reports whether the receiver
// has to hear of it: nothing is queued any more, or can't leave.
func (c *Conn) flush() (moved bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.out
	if o.queued() == 0 {
		return false
	}
	n, err := c.send(o.queue.B[o.start:])
	o.start += n
	if err != nil {
		moved = true
		c.failQueue(err)
	} else if o.queued() == 0 {
		moved = true
		o.drop()
		c.state.And(^uint32(queues))
		c.drained()
	}
	o.tell()
	if err := c.arm(); err != nil {
		moved = true
		c.failQueue(err)
	}
	return moved
}

// drained does what had to wait for the queue to empty.
func (c *Conn) drained() {
	if c.out.moved == nil && c.out.done == nil {
		c.out = nil
	}
	if c.is(shutting) {
		c.shutdown()
	}
}

// Queues returns true: Writev never waits.
func (c *Conn) Queues() bool { return true }

// TryWrite is Writev.
func (c *Conn) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, c.Writev(p) }

// Drain waits until at most most bytes are queued or ctx ends. It keeps the write deadline itself: the loop that does otherwise may be held up, by a Handler
// that doesn't return.
func (c *Conn) Drain(ctx context.Context, most int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out.queued() <= most {
		return c.outputError()
	}
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, c.tellDrainers)()
	}
	var alarm *time.Timer // rings at the deadline
	for at := instant(0); c.out.queued() > most; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if c.writeDeadline.passed() {
			c.failQueue(os.ErrDeadlineExceeded)
			if c.is(pushed) {
				defer c.call() // the receiver has to hear of it
			}
			break
		}
		if c.writeDeadline != at {
			at = c.writeDeadline
			if alarm != nil {
				alarm.Stop()
			}
			if at != 0 {
				alarm = time.AfterFunc(time.Until(at.time()), c.tellDrainers)
				defer alarm.Stop()
			}
		}
		if c.out.moved == nil {
			c.out.moved = sync.NewCond(&c.mu)
		}
		c.out.moved.Wait()
	}
	return c.outputError()
}

// outputError returns why nothing can be sent any more, or nil. The lock is held.
func (c *Conn) outputError() error {
	if c.out != nil {
		return c.out.err
	}
	return nil
}

// tellDrainers wakes those who wait for room, since their time may be over.
func (c *Conn) tellDrainers() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil {
		c.out.tell()
	}
}
