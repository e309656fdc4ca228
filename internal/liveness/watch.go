// Package liveness decides when a connection that carries many WebSockets is asked for a sign of life, and when
// its peer is dead. It knows no clock, no lock and no connection.
package liveness

import (
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// A Watch watches a connection, such as one of HTTP/2 or HTTP/3. Only what is received is a sign of life. One
// goroutine at a time uses it.
type Watch struct {
	// Cause is what the first Ask has given as the reason of the end.
	Cause error

	ping, timeout time.Duration  // 0: none
	received      uint64         // at the last look
	lastSign      timing.Instant // when something was received, as far as was looked
	lastPing      timing.Instant
	lookAt        timing.Instant // when the next look is due; 0: none is
}

// An Action is what a look at a connection asks for.
type Action uint8

// The Actions.
const (
	Wait Action = iota // nothing is to be done
	Ping               // a PING is to be sent
	End                // the connection is to be ended: the peer is dead
)

// Ask has a PING sent when nothing was received for ping, and the connection ended when nothing was
// received for timeout, both exact to a quarter. 0 is none. If it is called several times, the shortest
// times and the first cause count; the peer has all of a shorter time from then on. received counts what was
// received so far, in any unit. Look is to be called after next; 0: another call has asked for an earlier one.
func (w *Watch) Ask(received uint64, now timing.Instant, ping, timeout time.Duration, cause error) (next time.Duration) {
	if w.ping == 0 && w.timeout == 0 {
		w.Cause = cause
	}
	ping, timeout = shortest(w.ping, ping), shortest(w.timeout, timeout)
	if ping != w.ping || timeout != w.timeout { // the peer was not asked in time for them
		w.ping, w.timeout, w.lastSign, w.received = ping, timeout, now, received
	}
	next = w.interval()
	if next == 0 || w.lookAt != 0 && w.lookAt <= now+timing.Instant(next) {
		return 0
	}
	w.lookAt = now + timing.Instant(next)
	return next
}

// Look says what is to be done, and after what time to look again; 0: not because of this call.
func (w *Watch) Look(received uint64, now timing.Instant) (a Action, next time.Duration) {
	if w.lookAt == 0 || now < w.lookAt { // another look is due sooner
		return Wait, 0
	}
	if received != w.received {
		w.received, w.lastSign = received, now
	}
	silent := time.Duration(now - w.lastSign)
	switch {
	case w.timeout > 0 && silent >= w.timeout:
		return End, 0
	case w.ping > 0 && silent >= w.ping && time.Duration(now-max(w.lastPing, w.lastSign)) >= w.ping:
		w.lastPing = now
		a = Ping
	}
	next = max(w.interval(), 1)
	w.lookAt = now + timing.Instant(next)
	return a, next
}

// interval returns the time between two looks.
func (w *Watch) interval() time.Duration { return shortest(w.ping, w.timeout) / 4 }

// shortest returns the shorter of two times, of which 0 is none.
func shortest(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return max(b, 0)
	}
	return a
}
