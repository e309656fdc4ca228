package fanout

import (
	"errors"
	"log/slog"
	"time"

	"github.com/seed004e8d11/websock"
)

// never is the next of OnDown for a slot that has stopped.
const never = time.Duration(-1)

// A teardown takes a slot down after an attempt has failed or a connection was lost: it changes the
// slot's phase, calls OnDown, and only then lets the slot wait for its next attempt. So no attempt
// begins before the application knows of the end of the last one.
type teardown struct {
	slot    *Slot
	attempt *attempt // that has failed, or nil
	link    *link    // that is lost, or nil
	err     *DownError
	marked  bool          // the slot is down
	current bool          // it went down by this, and not by Shutdown before
	at      time.Duration // when, since the Group began
	asked   time.Duration // for how long Options.RetryAfter wants the slot to wait
	next    time.Duration // after which the slot is dialed again, or never
	dropped int           // messages that were kept and are not sent
}

// failed takes the slot down.
func (a *attempt) failed() { (&teardown{slot: a.slot, attempt: a}).run(AttemptFailed, a.err) }

// connLost takes the slot down after the loss of its connection, or lets the worker do that that
// is sending on it.
func (s *Slot) connLost(l *link, err error) {
	s.mu.Lock()
	l.lostErr = err // no worker begins any more
	o := s.outbox
	sending := s.link == l && o != nil && o.state == outboxSending
	s.mu.Unlock()
	if !sending {
		s.takeDown(l, err)
	}
}

func (s *Slot) takeDown(l *link, err error) {
	(&teardown{slot: s, link: l}).run(ConnectionLost, err)
}

func (t *teardown) run(reason Reason, err error) {
	s := t.slot
	s.mu.Lock()
	reason = s.reasonLocked(reason)
	s.mu.Unlock()
	t.err = &DownError{reason, err}
	if reason == ConnectionLost {
		t.link.noteLoss(s, err)
	}
	defer t.end()
	permanent := t.permanent()
	if !permanent {
		t.noteUnblamed()
		t.asked = t.askedWait()
	}
	t.mark(permanent)
	t.notifyDown()
}

// reasonLocked returns why the slot goes down: for the reason given, unless that was asked for.
func (s *Slot) reasonLocked(otherwise Reason) Reason {
	switch {
	case s.group.closing():
		return ShutDown
	case s.onWayDownLocked():
		return Ended
	}
	return otherwise
}

// permanent reports whether the slot is to stop.
func (t *teardown) permanent() bool {
	switch t.err.Reason {
	case ShutDown, Ended:
		return false
	}
	return t.slot.group.options.Permanent(t.err) && (t.attempt == nil || !t.attempt.failsOver())
}

// noteUnblamed has a failure count that isn't the host's own, but that doesn't stop the slot either.
func (t *teardown) noteUnblamed() {
	if t.err.Reason == AttemptFailed && t.attempt.dial.unblamed {
		t.slot.group.dials.failed(t.attempt, t.err.Err)
	}
}

// askedWait returns for how long the server asks not to be dialed, as the application understands it.
func (t *teardown) askedWait() time.Duration {
	f := t.slot.group.options.RetryAfter
	if f == nil || t.err.Reason == ShutDown || t.err.Reason == Ended {
		return 0
	}
	return min(f(t.err), forever)
}

// mark takes the slot down, unless Shutdown has cut it.
func (t *teardown) mark(permanent bool) {
	s, g := t.slot, t.slot.group
	t.marked = true
	g.counts.moving.Lock()
	defer g.counts.moving.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == t.link {
		t.markLocked(permanent)
		s.link = nil
	}
	g.budget.forget(t.link)
}

func (t *teardown) markLocked(permanent bool) {
	s, g := t.slot, t.slot.group
	t.err.Reason = s.reasonLocked(t.err.Reason) // Permanent may have taken its time
	s.stopIfClosingLocked()
	intent := s.intent
	switch {
	case intent >= stop, t.err.Reason == Ended:
	case permanent:
		intent = giveUp
	default:
		intent = goOn
	}
	g.addRunning() // before the last slot has stopped: Shutdown waits for OnDown, too
	t.current = s.handleWithLocked(eventFailed, intent)
	if !t.current {
		g.doneRunning()
		return
	}
	t.countLocked()
	s.err, s.due, s.attempt = t.err, 0, nil
	t.at, t.next = g.now(), never
	switch {
	case s.intent == hurry:
		t.next = 0
	case s.intent == goOn:
		t.next = t.delayLocked()
	}
	t.dropped = s.trimOutboxLocked()
}

// delayLocked returns how long the slot waits. What the server asks for doesn't matter if the slot can
// connect to another one.
func (t *teardown) delayLocked() time.Duration {
	s, b := t.slot, &t.slot.group.options.Backoff
	if s.group.memory.hasOther(s.targetSet(), t.state()) {
		return between(0, b.bound(s.failures))
	}
	delay := b.delay(s.failures, t.err, time.Now())
	if t.asked > 0 {
		delay = max(delay, t.asked+between(0, b.bound(s.failures)))
	}
	return delay
}

// state returns that of the Target of the attempt or connection, nil if there is none.
func (t *teardown) state() *targetState {
	if t.link != nil {
		return t.link.target
	}
	return t.attempt.state
}

// countLocked counts the failure or loss.
func (t *teardown) countLocked() {
	s, g, l := t.slot, t.slot.group, t.link
	if l == nil {
		g.counts.failed(t.err)
	} else {
		traffic := l.conn.Stats()
		g.counts.lost(traffic, t.err)
		if l.keptAlive && errors.Is(t.err, websock.ErrIdle) {
			g.counts.pingTimeout()
		}
		if g.options.Backoff.resets(t.err, traffic.FramesReceived, g.now()-l.upSince) {
			s.failures = 0
		}
	}
	if t.err.Reason != Ended {
		s.failures++
	}
}

// notifyDown tells the application.
func (t *teardown) notifyDown() {
	s, g := t.slot, t.slot.group
	if !t.current {
		return
	}
	t.log()
	if t.err.Reason == ConnectionLost && g.logs(slog.LevelInfo) {
		g.dials.lost(t.link.target.host, t.err)
	}
	s.reportUnsent(t.dropped, t.err)
	if g.options.OnDown != nil && !g.over() {
		g.options.OnDown(s, t.err, t.next)
	}
}

// log writes why the slot is down, and when it is dialed again.
func (t *teardown) log() {
	msg, reason := "connection lost", slog.Any("error", t.err)
	if t.link == nil {
		msg = "can't connect"
	}
	switch g := t.slot.group; {
	case t.next != never:
		g.logSlot(slog.LevelDebug, msg, t.slot, reason, slog.Duration("next", t.next))
	case t.err.Reason == ShutDown || t.err.Reason == Ended:
		g.logSlot(slog.LevelDebug, msg, t.slot, reason)
	default:
		g.logSlot(slog.LevelWarn, msg+"; the slot has stopped", t.slot, reason)
	}
}

// end is deferred: it lets the slot go on, also if a function of Options has not returned.
func (t *teardown) end() {
	s, g := t.slot, t.slot.group
	if v := recover(); v != nil {
		s.recovered(v)
	}
	if !t.marked {
		t.mark(false) // Permanent or RetryAfter has not returned
	}
	if !t.current {
		return
	}
	defer g.doneRunning()
	if s.notified(t.next - (g.now() - t.at)) {
		s.finish()
	}
}

// notified is called when OnDown has returned. The slot is dialed after a time, unless there is another
// intent. It reports whether the slot has ended.
func (s *Slot) notified(next time.Duration) (ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopIfClosingLocked()
	s.handleLocked(eventNotified)
	if s.phase == delayed {
		s.runDueAfterLocked(next)
	}
	return s.endedLocked()
}

// recovered takes the value of recover after a function of Options has not returned, and returns
// the error with which its attempt or connection ends. v is nil after runtime.Goexit. Without
// Options.Recover it panics again.
func (s *Slot) recovered(v any) error {
	if v != nil {
		if s.group.options.Recover == nil {
			panic(v)
		}
		s.group.options.Recover(s, v)
	}
	return &websock.HandlerError{Value: v}
}

// recoverPanic is deferred where a panic ends neither an attempt nor a connection.
func (s *Slot) recoverPanic() {
	if v := recover(); v != nil {
		s.recovered(v)
	}
}
