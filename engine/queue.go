package engine

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
// is empty. Nobody else writes meanwhile. It reports whether it can wait with this
// transport.
func (c *Conn) waitForPeer(n int) bool {
	drainer, ok := c.t.(Drainer)
	if ok {
		room := c.beginDrain(n)
		c.endDrain(drainer.Drain(room))
	}
	return ok
}

// beginDrain unlocks, and returns to how many bytes the queue has to drain so that n more may
// join.
func (c *Conn) beginDrain(n int) int {
	room := max(c.roomBut(n), 0)
	c.send.writing = true
	c.send.mu.Unlock()
	return room
}

// endDrain locks again. An error is that of the transport.
func (c *Conn) endDrain(err error) {
	s := &c.send
	s.mu.Lock()
	s.writing = false
	if err != nil {
		c.sendFailed(err)
	}
	s.tell()
}

// Drain waits until at most most bytes that were sent wait for the peer: until the
// transport has handed the rest to the system, the send deadline has passed, or the
// connection is over. It is how a sender goes on after a *LimitError that names SendQueue.
// It may be called from any goroutine, but not from a Handler, whose event loop it would
// hold up. It returns at once where the transport doesn't queue. Errors are those of a send,
// also where nothing is queued.
func (c *Conn) Drain(most int) error {
	var err error
	if drainer, ok := c.t.(Drainer); ok {
		err = drainer.Drain(max(most, 0))
	}
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	if err != nil {
		c.sendFailed(err)
	}
	return c.send.over()
}

// Queues reports whether the transport queues what the peer doesn't take at once, as those
// on event loops do. Otherwise a send may wait for the peer, whatever Limits.WhenFull says.
// It may be called from any goroutine.
func (c *Conn) Queues() bool {
	if t, ok := c.t.(interface{ Queues() bool }); ok {
		return t.Queues()
	}
	_, ok := c.t.(Drainer)
	return ok
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
