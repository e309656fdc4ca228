package websock

import "time"

// deadlines are the times at which waiting ends. They are under the lock of sending, and so is
// giving them to the transport: whatever changes one of them gives it the earliest of all, and
// none undoes another. But the time of SetSendDeadline isn't kept: it may be that of a send which
// is long done, and must not make the close frame fail.
type deadlines struct {
	recv        time.Time // set by SetRecvDeadline
	recvTimeout time.Time // of the RecvTimeout under way, or of the last one
	finalRecv   time.Time // when receiving ends for good; see startCloseTimeoutLocked
	finalSend   time.Time // when sending ends for good
	deferred    bool      // a Handler is running: both are set anew when it returns
}

// receiving returns the time at which a receive has to end; zero: never.
func (l *deadlines) receiving() time.Time {
	return earliest(earliest(l.recv, l.recvTimeout), l.finalRecv)
}

// earliest returns the earlier of two times, of which a zero one means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// passed reports whether a time was set and has come.
func passed(at time.Time) bool { return !at.IsZero() && !time.Now().Before(at) }

// SetRecvDeadline sets the time after which receives that wait return
// ErrTimeout, also those under way; the zero time means never. Bytes that are
// here already are still delivered. Nothing is lost by a timeout. With a Handler
// it is the time at which the connection ends with ErrTimeout in OnClose. It
// does not prolong a RecvTimeout, nor what Limits.CloseTimeout bounds. It may
// be called from any goroutine.
func (c *Conn) SetRecvDeadline(t time.Time) error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.ensureRare().deadlines.recv = t
	return c.applyRecvDeadlineLocked()
}

// SetSendDeadline sets the time after which sends fail, also those under way;
// the zero time means never. A send whose deadline passes ends sending for good,
// since a part of its frame may be out; see SendText. Close replaces it by the time
// by which the close frame must be written, see Limits.CloseTimeout; from then on, a
// later one has no effect.
// It may be called from any goroutine.
func (c *Conn) SetSendDeadline(t time.Time) error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.t.SetWriteDeadline(earliest(t, c.batch.rareOrZero().deadlines.finalSend))
}

// applyRecvDeadlineLocked gives the transport the time at which a receive has to end. The lock is held.
func (c *Conn) applyRecvDeadlineLocked() error {
	return c.batch.t.SetReadDeadline(c.batch.rareOrZero().deadlines.receiving())
}

// startCloseTimeoutLocked begins the time within which the connection ends, Limits.CloseTimeout from now: when
// a close frame is to be sent, or when sending has failed and only what has arrived is left to
// receive. Nothing prolongs it. The lock is held.
//
// The time that a Handler takes doesn't count that is running now, unless it takes very long: see
// closeWatchdog. Meanwhile an event loop neither writes what is queued nor reads the peer's answer.
func (c *Conn) startCloseTimeoutLocked() {
	l := &c.batch.ensureRare().deadlines
	if !l.finalSend.IsZero() {
		return
	}
	l.deferred = c.batch.handler != 0
	c.receive.stop.Or(stopCloseTimeout)
	c.setCloseDeadlinesLocked()
	if c.receive.pushed {
		c.startCloseWatchdog()
	}
}

// applyDeferredDeadlinesLocked sets anew what startCloseTimeoutLocked has set while a Handler was running, which has
// returned. The lock is held.
func (c *Conn) applyDeferredDeadlinesLocked() {
	if c.batch.rareOrZero().deadlines.deferred {
		c.batch.rare.deadlines.deferred = false
		c.setCloseDeadlinesLocked()
	}
}

// setCloseDeadlinesLocked sets the times at which receiving and sending end, counted from now. The lock is held.
func (c *Conn) setCloseDeadlinesLocked() {
	l := &c.batch.rare.deadlines
	now := time.Now()
	l.finalSend = now.Add(c.closeTimeout())
	l.finalRecv = l.finalSend
	if c.closing.ClosedByUs() && c.limits().CloseTimeout < 0 {
		l.finalRecv = now // nobody waits for the peer
	}
	c.batch.t.SetWriteDeadline(l.finalSend) // if it fails, so does the write
	c.applyRecvDeadlineLocked()             // if it fails, the connection is closed already
}

// closeTimeout is the time within which a connection ends, also where Close doesn't wait for the
// peer: a close frame has to be written.
func (c *Conn) closeTimeout() time.Duration {
	if c.limits().CloseTimeout < 0 {
		return DefaultCloseTimeout
	}
	return c.limits().CloseTimeout
}

// closeTimedOut reports whether the time within which the connection ends is over.
func (c *Conn) closeTimedOut() bool {
	return c.receive.stop.Load()&stopCloseTimeout != 0 && c.closeDeadlinePassed()
}

func (c *Conn) closeDeadlinePassed() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return passed(c.batch.rare.deadlines.finalRecv)
}

// recvDeadlinePassed reports whether the time of SetRecvDeadline has come.
func (c *Conn) recvDeadlinePassed() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return passed(c.batch.rareOrZero().deadlines.recv)
}
