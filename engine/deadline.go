package engine

import "time"

// SetRecvDeadline sets the time after which receives that wait return
// ErrTimeout, also those under way; the zero time means never. Bytes that are
// here already are still delivered. Nothing is lost by a timeout. With a Handler
// it is the time at which the connection ends with ErrTimeout in OnClose. It may
// be called from any goroutine.
func (c *Conn) SetRecvDeadline(t time.Time) error {
	c.send.mu.Lock()
	c.send.need().recvDeadline = t
	c.send.mu.Unlock()
	return c.t.SetReadDeadline(t)
}

// SetSendDeadline sets the time after which sends fail, also those under way;
// the zero time means never. A send whose deadline passes ends the connection,
// since a part of its frame may be out. It may be called from any goroutine.
func (c *Conn) SetSendDeadline(t time.Time) error {
	return c.t.SetWriteDeadline(t)
}

// recvDeadline returns the time set by SetRecvDeadline.
func (c *Conn) recvDeadline() time.Time {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	return c.send.peek().recvDeadline
}

// waiting is how long the receive under way may wait.
type waiting struct {
	bounded bool          // by RecvTimeout
	begun   bool          // the bound was given to the transport
	stale   bool          // the transport's deadline isn't that of SetRecvDeadline
	most    time.Duration // of RecvTimeout
	until   time.Time     // once begun
}

// beginWait gives the transport the deadline of the receive under way. Only a
// receive that has to turn to the transport needs one.
func (c *Conn) beginWait() error {
	w := &c.receive.wait
	switch {
	case w.bounded && !w.begun:
		w.begun, w.stale = true, true
		w.until = time.Now().Add(w.most)
		if set := c.recvDeadline(); !set.IsZero() && set.Before(w.until) {
			w.until = set
		}
		return c.t.SetReadDeadline(w.until)
	case !w.bounded && w.stale:
		w.stale = false
		return c.t.SetReadDeadline(c.recvDeadline())
	}
	return nil
}

// waitedEnough reports whether the time of the receive under way is over, so that
// a peer that sends nothing but control frames can't prolong it.
func (c *Conn) waitedEnough() bool {
	w := &c.receive.wait
	if w.bounded && !w.begun {
		return false
	}
	until := w.until
	if !w.bounded {
		until = c.recvDeadline()
	}
	return !until.IsZero() && !time.Now().Before(until)
}
