package engine

import (
	"context"

	"github.com/seed004e8d11/websock/transport"
)

// makeWay keeps what waits to be written within its limit: it waits until n bytes more
// may join, or refuses them. The lock is held, but not while waiting.
func (c *Conn) makeWay(n int) error {
	s := &c.send
	if s.refuses {
		if c.crowded(n) && s.over() == nil {
			return c.queueFull()
		}
		return nil
	}
	for s.err == nil {
		switch {
		case s.writing && s.batch != nil && len(s.batch.B)+n > c.limits().SendQueue:
			s.wait()
		case !s.writing && c.crowded(n) && c.waitForPeer(n):
			c.writeLeft() // what comes next may be refused for another reason
		default:
			return nil
		}
	}
	return nil // what comes next finds s.err
}

// queueFull says that there is no room in the queue.
func (c *Conn) queueFull() error {
	return &LimitError{Limit: sendQueue, Max: int64(c.limits().SendQueue), Code: ClosePolicyViolation}
}

// crowded reports whether so much is queued for the peer that n bytes more are too many.
func (c *Conn) crowded(n int) bool {
	queued := c.t.Queued()
	return queued > 0 && queued > c.roomBut(n)
}

// roomBut returns how much may be queued for the peer when n bytes more are to join, and
// before them what has gathered. It may be negative.
func (c *Conn) roomBut(n int) int {
	if c.send.batch != nil {
		n += len(c.send.batch.B)
	}
	return c.limits().SendQueue - n
}

// waitForPeer waits, without the lock, until the transport's queue has room for n bytes or
// is empty. It reports whether it can wait with this transport. Nobody else writes meanwhile,
// unless sends on this connection must not wait.
func (c *Conn) waitForPeer(n int) bool { return c.waitForPeerContext(context.Background(), n) }

// waitForPeerContext is waitForPeer that ends with ctx.
func (c *Conn) waitForPeerContext(ctx context.Context, n int) bool {
	if !c.Queues() {
		return false
	}
	s := &c.send
	room, alone := max(c.roomBut(n), 0), !s.refuses
	if alone {
		s.writing = true
	}
	s.mu.Unlock()
	err := c.t.(transport.Queue).Drain(ctx, room)
	s.mu.Lock()
	if alone {
		s.writing = false
	}
	if err != nil && err != ctx.Err() {
		c.sendFailed(err)
	}
	s.tell()
	return true
}

// Drain waits until at most most bytes that were sent wait for the peer: until the
// system has taken the rest, the send deadline has passed, or the connection is over. It is
// how a sender goes on after a *LimitError that names SendQueue. It doesn't wait for what Cork
// or a Handler holds back. It may be called from any goroutine, but not from a Handler, whose
// event loop it would hold up. Errors are those of a send, also where nothing is queued.
func (c *Conn) Drain(most int) error {
	most = max(most, 0)
	var err error
	if c.Queues() {
		err = c.t.(transport.Queue).Drain(context.Background(), most)
	}
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		c.sendFailed(err)
	}
	for s.err == nil && s.writing && !c.Queues() && c.queued() > most {
		s.wait()
	}
	return s.over()
}

// Queues reports whether the transport queues what the peer doesn't take at once, as those
// on event loops do. Otherwise a send may wait for the peer, whatever Limits.WhenFull says.
// It may be called from any goroutine.
func (c *Conn) Queues() bool {
	q, ok := c.t.(transport.Queue)
	return ok && q.Queues()
}

// refuses reports whether a full queue makes a send fail, not wait.
func (c *Conn) refuses() bool {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	return c.send.refuses
}

// stalled reports whether something waits to be written.
func (c *Conn) stalled() bool {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	return c.send.writing || c.t.Queued() > 0
}
