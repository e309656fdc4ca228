package engine

import (
	"time"
	"weak"

	"github.com/seed004e8d11/websock/internal/timing"
)

// A closeBound ends a connection whose Handler doesn't return. The time limits of limitEnd are
// kept by the transport, which for an event loop means by the goroutine that the Handler holds
// up. It doesn't keep the connection in memory.
type closeBound struct {
	conn weak.Pointer[Conn]
	late bool // the time of limitEnd was over at the last run
}

// watchEnd begins a closeBound. It has a timer of its own, since to show the peer the end of the
// stream may take as long as the peer reads nothing.
func (c *Conn) watchEnd() {
	timing.After(c.closeTimeout(), &closeBound{conn: weak.Make(c)})
}

// Run comes when the time within which the connection has to end is over, and once more as
// long after. At first the peer is shown the end of the stream, if all that was sent has left;
// what it has answered can still be received when the Handler returns. Then the connection is
// closed.
func (b *closeBound) Run() time.Duration {
	c := b.conn.Value()
	if c == nil {
		return 0
	}
	s := &c.send
	s.mu.Lock()
	switch {
	case s.ending: // which has its own bound
		s.mu.Unlock()
		return 0
	case !b.late:
		b.late = true
		c.endOurDirection()
		s.mu.Unlock()
		return c.closeTimeout()
	}
	s.end(&CloseError{Code: CloseAbnormal, Err: ErrTimeout})
	s.tell()
	s.mu.Unlock()
	c.t.Close()
	return 0
}

// endOurDirection shows the peer the end of the stream unless something waits to be written. The
// lock is held, but not meanwhile.
func (c *Conn) endOurDirection() {
	s := &c.send
	if s.err != nil || s.writing || s.batch != nil || c.t.Queued() > 0 {
		return
	}
	s.writing = true
	s.mu.Unlock()
	c.t.CloseWrite() // what it can't do, Close does later
	s.mu.Lock()
	s.writing = false
	s.tell()
}
