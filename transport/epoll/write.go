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
	"github.com/seed004e8d11/websock/transport"
)

// An output has bytes that the peer has not taken yet.
type output struct {
	queue buffer.Queue
	err   error         // why nothing can be written any more
	moved *sync.Cond    // some has left, or it is over; nil: nobody waits
	done  chan struct{} // closed when lingering ends; nil: nobody waits
	ended error         // how
	local socket.Addr   // our address, once the descriptor is closed
}

func (o *output) queued() int {
	if o == nil {
		return 0
	}
	return o.queue.Len()
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
	err := error(nil)
	if c.out.queued() == 0 {
		bufs, err = c.send(bufs)
	}
	if err == nil {
		err = c.enqueue(bufs)
	}
	if err != nil {
		c.fail(err)
	}
	return err
}

// enqueue queues what has not left.
func (c *Conn) enqueue(bufs [][]byte) error {
	for _, p := range bufs {
		if len(p) > 0 {
			c.output().queue.Append(p)
		}
	}
	if c.out.queued() == 0 {
		return nil
	}
	c.state.Or(queues)
	c.schedule()
	return c.arm()
}

// send writes what the system takes, and returns the rest.
func (c *Conn) send(bufs [][]byte) (rest [][]byte, err error) {
	if !c.uses.acquire() {
		return bufs, net.ErrClosed
	}
	defer c.release()
	return socket.Writev(int(c.fd), bufs)
}

// sendQueued writes what the system takes of what is queued.
func (c *Conn) sendQueued() error {
	if !c.uses.acquire() {
		return net.ErrClosed
	}
	defer c.release()
	n, err := socket.Write(int(c.fd), c.out.queue.Bytes())
	c.out.queue.Drop(n)
	return err
}

// fail ends writing for good. The lock is held.
func (c *Conn) fail(err error) {
	o := c.output()
	if o.err == nil {
		o.err = err
	}
	o.queue.Clear()
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
	return socket.Unacknowledged(int(c.fd))
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
	if err := c.sendQueued(); err != nil {
		moved = true
		c.failQueue(err)
	} else if o.queued() == 0 {
		moved = true
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
