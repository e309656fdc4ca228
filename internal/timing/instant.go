package timing

import "time"

// An Instant is a time in nanoseconds, by the monotonic clock, since a moment long before the process: about
// that where Unix time begins. So it is positive also in a testing/synctest bubble, where it is the year 2000.
// It takes a third of the memory of a time.Time. Zero is no time.
type Instant int64

// origin is a Time that has a reading of the monotonic clock.
var origin = beginOfUnixTime(time.Now())

func beginOfUnixTime(now time.Time) time.Time { return now.Add(-time.Duration(now.UnixNano())) }

// Now returns the time.
func Now() Instant { return Instant(time.Since(origin)) }

// InstantOf returns t as an Instant: 0 for the zero time, and at least 1 for others.
func InstantOf(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return max(Instant(t.Sub(origin)), 1)
}

// Time is the inverse of InstantOf.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return origin.Add(time.Duration(i))
}

// Passed reports whether i is a time and not in the future.
func (i Instant) Passed() bool { return i != 0 && Now() >= i }
