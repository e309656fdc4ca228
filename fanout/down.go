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
	link    *link // that is lost; nil: an attempt has failed
	err     error
	marked  bool          // the slot is down
	current bool          // it went down by this, and not by Shutdown before
	at      time.Duration // when, since the Group began
	next    time.Duration // after which the slot is dialed again, or never
	dropped int           // messages that were kept and are not sent
}

// attemptFailed takes the slot down after a failed attempt.
func (s *Slot) attemptFailed(err error) {
	t := &teardown{slot: s, err: s.group.downError(AttemptFailed, err)}
	t.run()
}

// connLost takes the slot down after the loss of its connection, or lets the worker do that that
// is sending on it.
func (s *Slot) connLost(l *link, err error) {
	s.mu.Lock()
	if o := s.outbox; s.link == l && o != nil && o.state == outboxSending {
		l.lostErr = err
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.takeDown(l, err)
}

func (s *Slot) takeDown(l *link, err error) {
	t := &teardown{slot: s, link: l, err: s.group.downError(ConnectionLost, err)}
	t.run()
}

func (t *teardown) run() {
	defer t.end()
	t.mark(t.permanent())
	t.notifyDown()
}

// downError returns the error that OnDown gets.
func (g *Group) downError(reason Reason, err error) error {
	if g.closing() {
		reason = ShutDown
	}
	return &DownError{Reason: reason, Err: err}
}

// permanent reports whether the slot is to stop.
func (t *teardown) permanent() bool {
	g := t.slot.group
	return g.closing() || g.options.Permanent(t.err)
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
		t.markLocked(permanent || g.closing())
		s.link = nil
	}
	g.budget.forget(t.link)
}

func (t *teardown) markLocked(permanent bool) {
	s, g := t.slot, t.slot.group
	e := eventFailed
	if permanent {
		e = eventPermanent
	}
	g.addRunning() // before the last slot has stopped: Shutdown waits for OnDown, too
	t.current = s.handleLocked(e)
	if !t.current {
		g.doneRunning()
		return
	}
	t.countLocked()
	s.err, s.due = t.err, 0
	t.at, t.next = g.now(), never
	if !permanent {
		t.next = g.options.Backoff.delay(s.failures, t.err, time.Now())
	}
	t.dropped = s.trimOutboxLocked()
}

// countLocked counts the failure or loss.
func (t *teardown) countLocked() {
	s, g, l := t.slot, t.slot.group, t.link
	if l == nil {
		g.counts.failed(t.err)
		s.failures++
		return
	}
	traffic := l.conn.Stats()
	g.counts.lost(traffic, t.err)
	if l.keptAlive && errors.Is(t.err, websock.ErrIdle) {
		g.counts.pingTimeout()
	}
	if g.options.Backoff.endsRow(t.err, traffic.FramesReceived, g.now()-l.upSince) {
		s.failures = 0
	}
	s.failures++
}

// notifyDown tells the application.
func (t *teardown) notifyDown() {
	s, g := t.slot, t.slot.group
	if !t.current {
		return
	}
	level, msg := slog.LevelDebug, "connection lost"
	if t.next == never && !g.closing() {
		level = slog.LevelWarn
	}
	if t.link == nil {
		msg = "can't connect"
	}
	g.logSlot(level, msg, s, slog.Any("error", t.err), slog.Duration("next", t.next))
	s.reportUnsent(t.dropped, t.err)
	if g.options.OnDown != nil && !g.over() {
		g.options.OnDown(s, t.err, t.next)
	}
}

// end is deferred: it lets the slot go on, also if a function of Options has not returned.
func (t *teardown) end() {
	s, g := t.slot, t.slot.group
	if v := recover(); v != nil {
		s.recovered(v)
	}
	if !t.marked {
		t.mark(false) // Permanent has not returned
	}
	if !t.current {
		return
	}
	defer g.doneRunning()
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.closing() {
		s.handleLocked(eventClose)
	}
	s.handleLocked(eventNotified)
	switch s.phase {
	case retrying:
		s.runDueAfterLocked(0)
	case delayed:
		s.runDueAfterLocked(t.next - (g.now() - t.at))
	}
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
