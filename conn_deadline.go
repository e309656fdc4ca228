package websock

import "time"

// SetRecvDeadline sets the time at which receives that wait return ErrTimeout, including the
// current one; the zero time means never. Bytes that have already arrived are still delivered, and
// a timeout loses nothing. With a Handler, the connection ends at that time, with ErrTimeout in
// OnClose. The deadline prolongs neither a RecvTimeout nor Limits.CloseTimeout. It may be set from
// any goroutine.
func (c *Conn) SetRecvDeadline(t time.Time) error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.ensureRare().deadlines.recv = t
	return c.applyRecvDeadlineLocked()
}

// SetSendDeadline sets the time at which sends fail, including the current ones; the zero time
// means never. A send that reaches its deadline ends sending, as a part of its frame may have been
// written; see SendText. The deadline holds for everything that is written from then on, also for
// pongs and for pings of KeepAlive. So remove it after a send for which it was meant, with the zero
// time: otherwise the next pong fails, and ends sending, on a connection that was idle for so long.
// Close replaces the deadline by that of the close frame, see Limits.CloseTimeout; a later one then
// has no effect. It may be set from any goroutine.
func (c *Conn) SetSendDeadline(t time.Time) error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.t.SetWriteDeadline(earliest(t, c.batch.rareOrZero().deadlines.finalSend))
}

// deadlines are the times at which receiving and sending end. The lock of the batchWriter guards
// them, and is held while they are given to the transport: the transport always gets the earliest,
// so none of them undoes another. The time of SetSendDeadline isn't kept: it may belong to a send
// that ended long ago, and must not make the close frame fail.
type deadlines struct {
	deferred    bool      // a Handler is running: finalRecv and finalSend are set again when it returns
	recv        time.Time // of SetRecvDeadline
	recvTimeout time.Time // of the current RecvTimeout, or the last one
	finalRecv   time.Time // when the close timeout ends receiving
	finalSend   time.Time // when the close timeout ends sending
}

// receiving returns the time at which a receive must end, or the zero time.
func (l *deadlines) receiving() time.Time {
	return earliest(earliest(l.recv, l.recvTimeout), l.finalRecv)
}

// applyRecvDeadlineLocked gives the transport the time at which a receive must end.
func (c *Conn) applyRecvDeadlineLocked() error {
	return c.batch.t.SetReadDeadline(c.batch.rareOrZero().deadlines.receiving())
}

// startCloseTimeoutLocked starts Limits.CloseTimeout, unless it has started: when a close frame is
// to be sent, or when sending has failed and only what has arrived remains to be received. Nothing
// prolongs it.
//
// It does not include the time that the running Handler takes, during which an event loop neither
// writes what is queued nor reads the peer's answer. The closeWatchdog bounds that time.
func (c *Conn) startCloseTimeoutLocked() {
	l := &c.batch.ensureRare().deadlines
	if !l.finalSend.IsZero() {
		return
	}
	l.deferred = c.batch.handler.Load() != 0
	c.receive.stop.Or(stopCloseTimeout)
	c.setCloseDeadlinesLocked()
	if c.receive.pushed {
		c.startCloseWatchdog()
	}
}

// setCloseDeadlinesLocked sets the times at which the close timeout ends receiving and sending,
// counted from now.
func (c *Conn) setCloseDeadlinesLocked() {
	l := &c.batch.rare.deadlines
	now := time.Now()
	l.finalSend = now.Add(c.closeTimeout())
	l.finalRecv = l.finalSend
	if c.closing().ClosedByUs() && c.limits().CloseTimeout < 0 {
		l.finalRecv = now // Close doesn't wait for the peer
	}
	c.batch.t.SetWriteDeadline(l.finalSend) // if this fails, so does the write
	c.applyRecvDeadlineLocked()             // if this fails, the connection is closed
}

// applyDeferredDeadlinesLocked starts the close timeout again if it was started while the Handler
// ran, which has returned.
func (c *Conn) applyDeferredDeadlinesLocked() {
	if c.batch.rareOrZero().deadlines.deferred {
		c.batch.rare.deadlines.deferred = false
		c.setCloseDeadlinesLocked()
	}
}

// earliest returns the earlier of two times. The zero time means never.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// passed reports whether a time was set and has passed.
func passed(at time.Time) bool { return !at.IsZero() && !time.Now().Before(at) }

// closeTimeout returns how long a connection may take to end. Even if Close doesn't wait for the
// peer, the close frame must be written.
func (c *Conn) closeTimeout() time.Duration {
	if c.limits().CloseTimeout < 0 {
		return DefaultCloseTimeout
	}
	return c.limits().CloseTimeout
}

// closeTimedOut reports whether the close timeout has started and passed.
func (c *Conn) closeTimedOut() bool {
	return c.receive.stop.Load()&stopCloseTimeout != 0 && c.closeDeadlinePassed()
}

// closeDeadlinePassed reports whether the close timeout, which has started, has passed.
func (c *Conn) closeDeadlinePassed() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return passed(c.batch.rare.deadlines.finalRecv)
}

// recvDeadlinePassed reports whether the time of SetRecvDeadline has passed.
func (c *Conn) recvDeadlinePassed() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return passed(c.batch.rareOrZero().deadlines.recv)
}
