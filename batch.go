package websock

import (
	"context"

	"github.com/seed004e8d11/websock/transport"
)

// Cork holds back what is sent from now on, by any goroutine, until Flush, so
// that one write takes all of it. The send with which Limits.SendQueue bytes have gathered
// writes them, and waits for the peer as any other send. A Flush is owed: pongs are held
// back too, and once so many bytes have gathered, only the latest ping is answered.
func (c *Conn) Cork() {
	c.send.mu.Lock()
	c.send.corked = true
	c.send.mu.Unlock()
}

// Flush ends what Cork began and writes what gathered; in a Handler also what that has
// sent, which it does without waiting for the peer. Errors are those of the sends
// that it makes good for.
func (c *Conn) Flush() error {
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = false
	if s.batch == nil {
		return s.writeError()
	}
	if s.heldBack() {
		c.flushPending()
		return s.writeError()
	}
	return c.commit()
}

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
	return &LimitError{Limit: "SendQueue", Max: int64(c.limits().SendQueue), Code: ClosePolicyViolation, Err: ErrSendQueueFull}
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

// release writes the pending batch, and a pong that has become due, without waiting: neither
// for another sender's write, which writes both when it is done, nor for the peer. The receiving
// side calls it, and two peers that wait for each other to receive would wait forever. If the
// write fails, the next send returns the error.
func (c *Conn) release() {
	s := &c.send
	if !s.heldBack() {
		c.flushPending()
	}
}

// flushPending is release also of what is held back.
func (c *Conn) flushPending() {
	s := &c.send
	switch {
	case s.err != nil: // behind a part of a frame nothing must follow
	case s.writing:
		s.left = s.left || s.batch != nil
	case c.answerPing() || s.batch != nil:
		c.writeWithoutWaiting()
	}
}

// writeWithoutWaiting writes the batch, which is there, and what is added to it meanwhile.
// Nobody else writes.
func (c *Conn) writeWithoutWaiting() {
	q, ok := c.t.(transport.Queue)
	if !ok || q.Queues() {
		c.writeBatch()
		c.writeLeft()
		return
	}
	c.tryBatch(q)
	s := &c.send
	for s.err == nil && !s.writing && (c.answerPing() || s.left) {
		c.tryBatch(q)
	}
}

// tryBatch writes the batch, or leaves the rest of it to the transport.
func (c *Conn) tryBatch(q transport.Queue) {
	s := &c.send
	b := c.takeBatch()
	s.writing = true
	s.mu.Unlock()
	rest, err := q.TryWrite(b.B)
	s.mu.Lock()
	if rest == nil || err != nil {
		c.wrote(len(b.B), err)
		c.batchIsOut(b, err)
		return
	}
	s.ensureRare().inFlight = b
	rest.Finish((*writeDone)(c))
}

// A writeDone is a Conn that learns that a PendingWrite is finished.
type writeDone Conn

// Wrote ends what tryBatch has begun. Whose frames those were was told that they were accepted;
// so if that was wrong, the end of the connection tells.
func (s *writeDone) Wrote(err error) {
	c := (*Conn)(s)
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	b := c.send.rare.inFlight
	c.send.rare.inFlight = nil
	c.wrote(len(b.B), err)
	c.batchIsOut(b, err)
	c.writeLeft()
}
