package engine

import "github.com/seed004e8d11/websock/transport"

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
	s.need().behind = b
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
	b := c.send.seldom.behind
	c.send.seldom.behind = nil
	c.wrote(len(b.B), err)
	c.batchIsOut(b, err)
	c.writeLeft()
}
