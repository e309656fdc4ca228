package engine

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
