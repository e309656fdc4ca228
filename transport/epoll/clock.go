//go:build linux

package epoll

import "time"

// An instant is a time in nanoseconds since the process began, by the monotonic clock.
// Zero is no time at all.
type instant int64

var began = time.Now()

func now() instant { return instant(time.Since(began)) }

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return max(instant(t.Sub(began)), 1)
}

// time returns what instantOf was given.
func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return began.Add(time.Duration(i))
}

// passed reports whether a deadline was set and is over.
func (i instant) passed() bool { return i != 0 && now() >= i }
