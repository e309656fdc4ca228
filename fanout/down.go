package fanout

import (
	"log/slog"
	"time"
)

// never is the time after which a slot that has stopped is dialled again.
const never = time.Duration(-1)

// down returns the error that the application is told.
func (g *Group) down(reason Reason, err error) error {
	if g.closing.Load() {
		reason = ShutDown
	}
	return &DownError{Reason: reason, Err: err}
}

// failed takes the failure of an attempt.
func (s *Slot) failed(err error) {
	err = s.group.down(AttemptFailed, err)
	permanent := s.group.options.Permanent(err)
	s.mu.Lock()
	next, dropped := s.fall(err, permanent)
	s.mu.Unlock()
	s.group.counts.failed(err)
	s.tellDown("can't connect", err, next, dropped)
}

// lost takes the loss of the link.
func (s *Slot) lost(l *link, err error) {
	g := s.group
	err = g.down(ConnectionLost, err)
	permanent := g.options.Permanent(err)
	g.counts.losing.Lock()
	s.mu.Lock()
	traffic := l.conn.Stats()
	if g.options.Backoff.endsRow(err, traffic.FramesReceived, g.now()-l.since) {
		s.failures = 0
	}
	s.link = nil
	next, dropped := s.fall(err, permanent)
	s.mu.Unlock()
	g.counts.lost(traffic, err)
	g.counts.losing.Unlock()
	s.tellDown("connection lost", err, next, dropped)
}

// fall makes a slot that isn't up wait or stop. It returns the time after which it is dialled
// again, and how many messages it drops. tellDown has to follow. The lock is held.
func (s *Slot) fall(err error, permanent bool) (next time.Duration, dropped int) {
	s.failures++
	s.err, s.due, next = err, 0, never
	s.group.telling.Add(1)
	if permanent || s.group.closing.Load() {
		s.move(Stopped)
	} else {
		next = s.group.options.Backoff.delay(s.failures, err, time.Now())
		s.move(Waiting)
		s.lookAfter(next)
	}
	return next, s.trimOutbox()
}

// tellDown tells the application.
func (s *Slot) tellDown(what string, err error, next time.Duration, dropped int) {
	g := s.group
	defer g.telling.Done()
	level := slog.LevelDebug
	if next == never && !g.closing.Load() {
		level = slog.LevelWarn
	}
	g.log(level, what, s, slog.Any("error", err), slog.Duration("next", next))
	s.unsent(dropped, err)
	if g.options.OnDown != nil {
		g.options.OnDown(s, err, next)
	}
}
