package timing

import "time"

// An Instant is a time in nanoseconds since the process began, by the monotonic clock. It takes a third
// of the memory of a time.Time. Zero is no time.
type Instant int64

var began = time.Now()

// Now returns the time.
func Now() Instant { return Instant(time.Since(began)) }

// InstantOf returns t as an Instant: 0 for the zero time, and at least 1 for others.
func InstantOf(t time.Time) Instant {
	if t.IsZero() {
		return 0
	}
	return max(Instant(t.Sub(began)), 1)
}

// Time is the inverse of InstantOf.
func (i Instant) Time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return began.Add(time.Duration(i))
}

// Passed reports whether i is a time and not in the future.
func (i Instant) Passed() bool { return i != 0 && Now() >= i }
