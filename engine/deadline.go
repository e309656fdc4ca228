package engine

import "time"

// SetRecvDeadline sets the time after which receives that wait return
// ErrTimeout, also those under way; the zero time means never. Bytes that are
// here already are still delivered. Nothing is lost by a timeout. With a Handler
// it is the time at which the connection ends with ErrTimeout in OnClose. It may
// be called from any goroutine.
func (c *Conn) SetRecvDeadline(t time.Time) error {
	var ns int64
	if !t.IsZero() {
		ns = t.UnixNano()
	}
	c.readDeadline.Store(ns)
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
	ns := c.readDeadline.Load()
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// boundWait makes a receive that waits return after d, or at the receive
// deadline if that comes first.
func (c *Conn) boundWait(d time.Duration) error {
	t := time.Now().Add(d)
	if set := c.recvDeadline(); !set.IsZero() && set.Before(t) {
		t = set
	}
	return c.t.SetReadDeadline(t)
}
