package fanout

import (
	"math/bits"
	"time"
)

// buckets of a Histogram.
const (
	finest  = 64 * time.Microsecond // bound of the first bucket
	buckets = 22                    // the last but one ends at 67 s
)

// A Histogram counts durations by size.
type Histogram struct {
	Count uint64
	Sum   time.Duration

	// Buckets counts durations up to Bound(i), and above Bound(i-1). The last one has no
	// bound.
	Buckets [buckets]uint64
}

// Bound returns the upper bound of bucket i, of which the last has none: 64 µs doubled i times.
func (*Histogram) Bound(i int) time.Duration { return finest << i }

// Quantile returns a bound that the share q of the durations, 0 to 1, doesn't exceed: twice
// the quantile itself at most. It is 0 when there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := uint64(q*float64(h.Count)+0.5), uint64(0)
	if h.Count == 0 {
		return 0
	}
	for i, n := range h.Buckets {
		seen += n
		if seen >= max(rank, 1) {
			return h.Bound(i)
		}
	}
	return h.Bound(buckets - 1)
}

// add counts a duration.
func (h *Histogram) add(d time.Duration) {
	d = max(d, 0)
	i := 0
	if d > finest {
		i = bits.Len64(uint64((d - 1) / finest))
	}
	h.Count++
	h.Sum += d
	h.Buckets[min(i, buckets-1)]++
}
