package h2

import (
	"time"

	"github.com/seed004e8d11/websock/internal/liveness"
	"github.com/seed004e8d11/websock/internal/timing"
)

// KeepAlive has a PING frame sent when nothing was received for ping (RFC 9113 section 6.7), and the
// Session closed with cause when nothing was received for timeout, both exact to a quarter. 0 is none.
// If it is called several times, the shortest times and the first cause count. A nil cause is ErrPing.
func (s *Session) KeepAlive(ping, timeout time.Duration, cause error) {
	if cause == nil {
		cause = ErrPing
	}
	s.lock()
	defer s.unlock()
	if s.phase == ended {
		return
	}
	if next := s.keepAlive.Ask(s.received.Load(), timing.Now(), ping, timeout, cause); next > 0 {
		clock.Add(next, (*keepAliveTask)(s))
	}
}

// A keepAliveTask is a Session that is looked at.
type keepAliveTask Session

// Run makes a keepAliveTask a timing.Task.
func (t *keepAliveTask) Run() (again time.Duration) {
	s := (*Session)(t)
	s.lock()
	defer s.unlock()
	if s.phase == ended {
		return 0
	}
	action, again := s.keepAlive.Look(s.received.Load(), timing.Now())
	switch action {
	case liveness.End:
		s.closeLocked(&SessionError{Err: s.keepAlive.Cause})
	case liveness.Ping:
		s.out.writePing(false, [8]byte{})
		s.flushLocked()
	}
	return again
}
