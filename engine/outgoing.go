package engine

import "github.com/seed004e8d11/websock/transport"

// Outgoing says how far the peer has come with what we send. taken counts bytes that have left
// for the peer and, where the transport knows it, that its system has acknowledged; it
// may be less than 0 where TLS adds to them. waiting counts bytes that have not: it is 0 when the
// peer owes us nothing. That taken grows while something is waiting is a sign of life, as bytes
// that are received are. Both are as exact as the system lets them be. It may be called from any
// goroutine, and doesn't wait.
func (c *Conn) Outgoing() (taken int64, waiting int) {
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent != nil {
		taken = int64(s.sent.wire)
	}
	if s.batch != nil {
		waiting += len(s.batch.B)
	}
	if behind := s.peek().behind; behind != nil {
		waiting += len(behind.B)
	} else if s.writing {
		waiting++ // at least
	}
	left := c.t.Queued()
	if t, ok := c.t.(transport.Queue); ok {
		left += t.Unacknowledged()
	}
	return taken - int64(left), waiting + left
}

// Queued returns how many bytes of frames are held in memory because the peer, or another write,
// is waited for: by the connection and its transport, not by the system. It may be called from
// any goroutine, and doesn't wait.
func (c *Conn) Queued() int {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	return c.queued()
}

// queued is Queued. The lock is held.
func (c *Conn) queued() int {
	s := &c.send
	n := c.t.Queued()
	if s.batch != nil {
		n += len(s.batch.B)
	}
	if behind := s.peek().behind; behind != nil {
		n += len(behind.B)
	}
	return n
}

// WritesBlock reports whether the transport can only write by waiting for the peer, so that even
// TrySend may wait. Those of this module don't.
func (c *Conn) WritesBlock() bool {
	_, ok := c.t.(transport.Queue)
	return !ok
}
