package h2

import (
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// A keepAlive says when a PING is sent and when the peer is dead. It belongs to the Session's lock.
type keepAlive struct {
	ping, timeout time.Duration // 0: none
	cause         error
	received      uint64         // bytes, at the last look
	lastSign      timing.Instant // when something was received, as far as was looked
	lastPing      timing.Instant
	checkAt       timing.Instant // of the next look; 0: none is due
}

// KeepAlive has a PING frame sent when nothing was received for ping (RFC 9113 section 6.7), and the
// Session closed with cause when nothing was received for timeout, both exact to a quarter. 0 is none.
// If it is called several times, the shortest times and the first cause count. A nil cause is ErrPing.
func (s *Session) KeepAlive(ping, timeout time.Duration, cause error) {
	s.lock()
	defer s.unlock()
	k := &s.keepAlive
	if k.ping == 0 && k.timeout == 0 {
		k.lastSign, k.received = timing.Now(), s.received.Load()
		if k.cause = cause; cause == nil {
			k.cause = ErrPing
		}
	}
	k.ping, k.timeout = shortest(k.ping, ping), shortest(k.timeout, timeout)
	next := k.interval()
	if next == 0 || s.phase == ended || k.checkAt != 0 && k.checkAt <= timing.Now()+timing.Instant(next) {
		return
	}
	k.checkAt = timing.Now() + timing.Instant(next)
	clock.Add(next, (*keepAliveTask)(s))
}

// shortest returns the shorter of two times, of which 0 is none.
func shortest(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return max(b, 0)
	}
	return a
}

// interval returns the time between two looks.
func (k *keepAlive) interval() time.Duration { return shortest(k.ping, k.timeout) / 4 }

// A keepAliveTask is a Session that is looked at.
type keepAliveTask Session

// Run makes a keepAliveTask a timing.Task.
func (t *keepAliveTask) Run() (again time.Duration) {
	s := (*Session)(t)
	s.lock()
	defer s.unlock()
	k := &s.keepAlive
	if s.phase == ended || !k.checkAt.Passed() { // or another task looks sooner
		return 0
	}
	if received := s.received.Load(); received != k.received {
		k.received, k.lastSign = received, timing.Now()
	}
	silent := time.Duration(timing.Now() - k.lastSign)
	switch {
	case k.timeout > 0 && silent >= k.timeout:
		s.closeLocked(&SessionError{Err: k.cause})
		return 0
	case k.ping > 0 && silent >= k.ping && time.Duration(timing.Now()-max(k.lastPing, k.lastSign)) >= k.ping:
		k.lastPing = timing.Now()
		s.out.writePing(false, [8]byte{})
		s.flushLocked()
	}
	next := max(k.interval(), 1)
	k.checkAt = timing.Now() + timing.Instant(next)
	return next
}
