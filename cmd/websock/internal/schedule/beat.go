package schedule

import (
	"math"
	"time"
)

// A Beat is a sequence of times that are equally far apart, numbered from 0. No time is stored, and none
// is computed from the one before, so that errors don't add up. A Beat must be made by NewBeat.
type Beat struct {
	first, period float64 // in nanoseconds
}

// NewBeat returns the times from first on, of which there are rate a second, which must be positive.
func NewBeat(first time.Duration, rate float64) Beat {
	return Beat{float64(first), float64(time.Second) / rate}
}

// Spread returns the i-th of n Beats that together make one that has n times the rate: each begins a
// little later than the one before.
func (b Beat) Spread(i, n int) Beat {
	b.first += b.period * float64(i) / float64(n)
	return b
}

// Due returns the time with number k, and the largest Duration if it would be later than that.
func (b Beat) Due(k int64) time.Duration {
	due := b.first + float64(k)*b.period
	if due >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(due)
}

// Count returns how many times are not after now, which is less than the largest Duration.
func (b Beat) Count(now time.Duration) int64 {
	k := max(int64((float64(now)-b.first)/b.period), 0)
	for b.Due(k) <= now { // the division rounds
		k++
	}
	for k > 0 && b.Due(k-1) > now {
		k--
	}
	return k
}
