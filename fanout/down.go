package fanout

import (
	"log/slog"
	"time"

	"github.com/seed004e8d11/websock"
)

// never is the time after which a slot that has stopped is dialled again.
const never = time.Duration(-1)

// A fall is what happens when a slot goes down: first it isn't up any more, then the application
// is told, and then it waits for its next turn. So the next attempt doesn't begin before the
// application knows of the last one's end.
type fall struct {
	slot    *Slot
	link    *link // that is lost; nil: it is an attempt that failed
	err     error
	done    bool          // the slot isn't up any more
	told    bool          // the application is to be told
	at      time.Duration // since the Group began
	next    time.Duration // after which time the slot is dialled again, or never
	dropped int           // messages that it had kept
}

// failed takes the failure of an attempt.
func (s *Slot) failed(err error) {
	f := &fall{slot: s, err: s.group.down(AttemptFailed, err)}
	f.run()
}

// lost takes the loss of the link.
func (s *Slot) lost(l *link, err error) {
	s.mu.Lock()
	o := s.outbox
	if s.link == l && o != nil && o.begun {
		l.lost = err // the crew goes on when it has said what it couldn't send
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	s.fallFrom(l, err)
}

// fallFrom ends the link.
func (s *Slot) fallFrom(l *link, err error) {
	f := &fall{slot: s, link: l, err: s.group.down(ConnectionLost, err)}
	f.run()
}

func (f *fall) run() {
	defer f.end()
	f.begin(f.permanent())
	f.tell()
}

// down returns the error that the application is told.
func (g *Group) down(reason Reason, err error) error {
	if g.closing.Load() {
		reason = ShutDown
	}
	return &DownError{Reason: reason, Err: err}
}

// permanent asks the application whether the slot is to stop.
func (f *fall) permanent() bool {
	g := f.slot.group
	return g.closing.Load() || g.options.Permanent(f.err)
}

// begin makes the slot wait or stop, unless Shutdown has given it up.
func (f *fall) begin(permanent bool) {
	s, g := f.slot, f.slot.group
	f.done = true
	g.counts.losing.Lock()
	defer g.counts.losing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	f.told = s.state != Stopped && s.link == f.link
	if f.told {
		f.count()
		f.move(permanent)
	}
	if s.link == f.link {
		s.link = nil
	}
	g.budget.forget(f.link)
}

// count counts the failure or loss. The slot's lock is held.
func (f *fall) count() {
	s, g, l := f.slot, f.slot.group, f.link
	if l == nil {
		g.counts.failed(f.err)
		s.failures++
		return
	}
	traffic := l.conn.Stats()
	g.counts.lost(traffic, f.err)
	if g.options.Backoff.endsRow(f.err, traffic.FramesReceived, g.now()-l.since) {
		s.failures = 0
	}
	s.failures++
}

// move makes the slot wait or stop. The slot's lock is held.
func (f *fall) move(permanent bool) {
	s, g := f.slot, f.slot.group
	f.at, f.next = g.now(), never
	s.err, s.due = f.err, 0
	s.telling, s.retry = true, false
	g.begin()
	if permanent || g.closing.Load() {
		s.move(Stopped)
	} else {
		f.next = g.options.Backoff.delay(s.failures, f.err, time.Now())
		s.move(Waiting)
	}
	f.dropped = s.trimOutbox()
}

// tell tells the application.
func (f *fall) tell() {
	s, g := f.slot, f.slot.group
	if !f.told {
		return
	}
	level, what := slog.LevelDebug, "connection lost"
	if f.next == never && !g.closing.Load() {
		level = slog.LevelWarn
	}
	if f.link == nil {
		what = "can't connect"
	}
	g.log(level, what, s, slog.Any("error", f.err), slog.Duration("next", f.next))
	s.unsent(f.dropped, f.err)
	if g.options.OnDown != nil && !g.over.Load() {
		g.options.OnDown(s, f.err, f.next)
	}
}

// end has the slot wait for its next turn, even if a function of the application didn't return.
func (f *fall) end() {
	s, g := f.slot, f.slot.group
	if v := recover(); v != nil {
		s.panicked(v)
	}
	if !f.done {
		f.begin(false) // Permanent did not return
	}
	if !f.told {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.telling = false
	switch {
	case g.closing.Load():
		s.move(Stopped)
	case s.retry:
		s.urgent = true
		s.wait(0)
	case s.state == Waiting:
		s.wait(f.next - (g.now() - f.at))
	}
	g.done()
}

// panicked takes what recover returned after a function of Options didn't return, and returns
// what that means for the attempt or connection. Without an Options.Recover the panic goes on.
func (s *Slot) panicked(v any) error {
	if v != nil {
		if s.group.options.Recover == nil {
			panic(v)
		}
		s.group.options.Recover(s, v)
	}
	return &websock.HandlerError{Value: v}
}

// recovered, deferred, takes a panic that ends neither an attempt nor a connection.
func (s *Slot) recovered() {
	if v := recover(); v != nil {
		s.panicked(v)
	}
}
