package engine

// makeWay keeps what waits to be written within its limit: it waits until n bytes more
// may join, or refuses them. The lock is held, but not while waiting.
func (c *Conn) makeWay(n int) error {
	s := &c.send
	if s.refuses {
		if c.crowded(n) && s.over() == nil {
			return &LimitError{Limit: "SendQueue", Max: int64(c.limits().SendQueue), Code: ClosePolicyViolation}
		}
		return nil
	}
	for s.err == nil {
		switch {
		case s.writing && s.batch != nil && len(s.batch.B)+n > c.limits().SendQueue:
			s.wait()
		case !s.writing && c.crowded(n) && c.waitForPeer(n):
		default:
			return nil
		}
	}
	return nil // what comes next finds s.err
}

// crowded reports whether so much is queued for the peer that n bytes more are too many.
func (c *Conn) crowded(n int) bool {
	queued := c.t.Queued()
	if queued == 0 {
		return false
	}
	if c.send.batch != nil {
		queued += len(c.send.batch.B)
	}
	return queued > c.limits().SendQueue-n
}

// waitForPeer waits, without the lock, until the transport's queue has room for n bytes or
// is empty. Nobody else writes meanwhile. It reports whether it can wait with this
// transport.
func (c *Conn) waitForPeer(n int) bool {
	s := &c.send
	drainer, ok := c.t.(Drainer)
	if !ok {
		return false
	}
	s.writing = true
	s.mu.Unlock()
	err := drainer.Drain(max(c.limits().SendQueue-n, 0))
	s.mu.Lock()
	s.writing = false
	if err != nil {
		c.sendFailed(err)
	}
	s.tell()
	return true
}
