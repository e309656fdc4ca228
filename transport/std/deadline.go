package std

import (
	"errors"
	"net"
	"os"
	"time"
)

// SetReadDeadline sets the time at which View and Read stop waiting, as transport.Conn says. After
// Linger or Close it returns net.ErrClosed.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if c.lingering.Load() || c.isClosed() {
		return net.ErrClosed
	}
	c.readDeadline = t
	c.wakePumpLocked()
	return c.applyReadDeadlineLocked()
}

// applyReadDeadlineLocked sets conn's read deadline to the time set by SetReadDeadline, or to one that
// has passed if the wait of the pump is to end.
func (c *Conn) applyReadDeadlineLocked() error {
	t := c.readDeadline
	if c.waitEnded {
		t = time.Unix(1, 0)
	}
	return c.conn.SetReadDeadline(t)
}

// endWaitLocked makes a read of the pump time out. The pump then reads again.
func (c *Conn) endWaitLocked() {
	if c.lingering.Load() || c.isClosed() { // which have ended it, and Linger needs its deadline
		return
	}
	c.waitEnded = true
	c.applyReadDeadlineLocked()
}

func (c *Conn) readDeadlinePassed() bool {
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	return !c.readDeadline.IsZero() && !time.Now().Before(c.readDeadline)
}

// SetWriteDeadline sets the time at which Writev stops waiting, as transport.Conn says. After Close
// it returns net.ErrClosed.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if c.isClosed() {
		return net.ErrClosed
	}
	c.limited.Store(!t.IsZero())
	return c.conn.SetWriteDeadline(t)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
