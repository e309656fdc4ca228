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
// means never. A send that begins after the deadline fails. So does one whose frame the system has not
// accepted by then, also if the send has returned and the frame is queued. A send that fails this way
// ends sending, as a part of its frame may have been written; see SendText.
//
// A deadline that passes while no send waits to be written does nothing until the next send. Pongs, what
// KeepAlive sends, and SendHeartbeat have no deadline. But if they are queued behind a send, they fail
// with it.
//
// Close replaces the deadline by that of the close frame, see Limits.CloseTimeout; a later one then
// has no effect. It may be set from any goroutine.
func (c *Conn) SetSendDeadline(t time.Time) error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.ensureRare().deadlines.send = t
	return c.batch.applySendDeadline()
}

// deadlines are the times at which receiving and sending end. The lock of the batchWriter guards
// them, and is held while they are given to the transport: the transport always gets the earliest
// of those that hold, so none of them undoes another.
type deadlines struct {
	recv        time.Time // of SetRecvDeadline
	recvTimeout time.Time // of the current RecvTimeout, or the last one
	send        time.Time // of SetSendDeadline, unless the close timeout has started since
	final       time.Time // when the close timeout ends receiving and sending

	lifted   bool   // send doesn't hold: only the library's own frames were written since it was lifted
	atOnce   bool   // the close timeout ends receiving at once: Close doesn't wait for the peer
	deferred bool   // a Handler is running: final is set again when it returns
	waiting  uint32 // number of sends that wait, for another's write or for the queue
}

// receiving returns the time at which a receive must end, or the zero time.
func (l *deadlines) receiving() time.Time {
	return earliest(earliest(l.recv, l.recvTimeout), l.finalRecv())
}

// finalRecv returns when the close timeout ends receiving, or the zero time.
func (l *deadlines) finalRecv() time.Time {
	if l.atOnce {
		return time.Unix(1, 0)
	}
	return l.final
}

// sending returns the time at which a write must end, or the zero time.
func (l *deadlines) sending() time.Time {
	if l.lifted {
		return l.final
	}
	return earliest(l.send, l.final)
}

// applyRecvDeadlineLocked gives the transport the time at which a receive must end.
func (c *Conn) applyRecvDeadlineLocked() error {
	return c.batch.t.SetReadDeadline(c.batch.rareOrZero().deadlines.receiving())
}

// applySendDeadline gives the transport the time at which a write must end.
func (w *batchWriter) applySendDeadline() error {
	return w.t.SetWriteDeadline(w.rare.deadlines.sending())
}

// liftSendDeadline is called before a frame of the library's own is written. The time of
// SetSendDeadline doesn't hold for it, and may have passed. But the transport has one deadline for all
// that it writes, and neither a peer nor another goroutine may prolong a send. So the time is lifted
// only if no send is in progress, and nothing that was sent is pending or queued.
func (w *batchWriter) liftSendDeadline() {
	l := &w.ensureRare().deadlines
	if l.waiting > 0 {
		w.beginSend() // a Drain waits, which has begun when nothing was queued
		return
	}
	if l.lifted || w.state != writerIdle || w.pending != nil || w.t.Queued() > 0 || !l.final.IsZero() {
		return
	}
	l.lifted = true
	if l.send.IsZero() && w.config.writes != writesBatch {
		return
	}
	w.applySendDeadline() // if this fails, so does the write
	if w.t.Queued() > 0 { // what was written behind, until now
		w.beginSend()
	}
}

// beginSend has the time of SetSendDeadline hold for what is written from now on, and for what is being
// written, as a send has to wait for that.
func (w *batchWriter) beginSend() {
	if w.rare != nil && w.rare.deadlines.lifted {
		w.restoreSendDeadline()
	}
}

func (w *batchWriter) restoreSendDeadline() {
	l := &w.rare.deadlines
	l.lifted = false
	if !l.send.IsZero() {
		w.applySendDeadline() // if this fails, so does the write
	}
}

// startCloseTimeoutLocked starts Limits.CloseTimeout, unless it has started: when a close frame is
// to be sent, or when sending has failed and only what has arrived remains to be received. Nothing
// prolongs it.
//
// It does not include the time that the running Handler takes, during which an event loop neither
// writes what is queued nor reads the peer's answer. The closeWatchdog bounds that time.
func (c *Conn) startCloseTimeoutLocked() {
	l := &c.batch.ensureRare().deadlines
	if !l.final.IsZero() {
		return
	}
	l.send, l.lifted = time.Time{}, false // it may be of a send that ended long ago
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
	l.final = time.Now().Add(c.closeTimeout())
	l.atOnce = c.closing().ClosedByUs() && c.limits().CloseTimeout < 0
	c.batch.applySendDeadline() // if this fails, so does the write
	c.applyRecvDeadlineLocked() // if this fails, the connection is closed
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
	return passed(c.batch.rare.deadlines.finalRecv())
}

// recvDeadlinePassed reports whether the time of SetRecvDeadline has passed.
func (c *Conn) recvDeadlinePassed() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return passed(c.batch.rareOrZero().deadlines.recv)
}
