package measure

import (
	"iter"
	"math"
	"math/bits"
	"time"
)

// Buckets count times coarsely, four buckets for each doubling from 4 µs, so that they are small enough to
// be kept for every moment of a run. A bucket counts the times from its lower bound up to that of the
// next. The zero value has counted nothing. Buckets don't change: methods return new ones.
type Buckets struct {
	First  int     `json:"first"` // number of the first bucket in Counts
	Counts []int64 `json:"counts"`
}

// bucketOf returns the number of the bucket of a time in microseconds, which is not negative.
func bucketOf(µs int64) int {
	if µs < 4 {
		return int(µs)
	}
	power := bits.Len64(uint64(µs)) - 1
	return 4*(power-1) + int(µs>>(power-2)&3)
}

// lowerBound returns the least time in a bucket.
func lowerBound(bucket int) time.Duration {
	if bucket < 4 {
		return time.Duration(bucket) * time.Microsecond
	}
	return time.Duration(4+bucket%4) << (bucket/4 - 1) * time.Microsecond
}

// All returns the lower bounds of all buckets from the first to the last that is not empty, and their
// counts. The upper bound of one is the lower bound of the next.
func (b Buckets) All() iter.Seq2[time.Duration, int64] {
	return func(yield func(time.Duration, int64) bool) {
		for i, n := range b.Counts {
			if !yield(lowerBound(b.First+i), n) {
				return
			}
		}
	}
}

// Count returns how many times have been counted.
func (b Buckets) Count() (n int64) {
	for _, count := range b.Counts {
		n += count
	}
	return n
}

// Seconds returns the sum of the times in seconds, each of them taken as the middle of its bucket, and so at
// most an eighth too large or too small. As a time.Duration, that of many connections could be too large.
func (b Buckets) Seconds() (sum float64) {
	for i, n := range b.Counts {
		sum += float64(n) * (lowerBound(b.First+i) + lowerBound(b.First+i+1)).Seconds() / 2
	}
	return sum
}

// Quantile returns a time that a part q of the times, from 0 to 1, don't exceed: the upper bound of
// the bucket in which it is, and so at most a quarter too large. It returns 0 if nothing has been counted.
func (b Buckets) Quantile(q float64) time.Duration {
	const rounding = 1e-9 // of q, such as 0.07, whose hundredfold is a little more than 7
	left := int64(math.Ceil(q*float64(b.Count()) - rounding))
	for i, n := range b.Counts {
		if left -= n; n > 0 && left <= 0 {
			return lowerBound(b.First + i + 1)
		}
	}
	if len(b.Counts) == 0 {
		return 0
	}
	return lowerBound(b.First + len(b.Counts))
}

// Add returns the sums of both.
func (b Buckets) Add(other Buckets) Buckets { return b.combine(other, 1) }

// Sub returns what was counted since earlier.
func (b Buckets) Sub(earlier Buckets) Buckets { return b.combine(earlier, -1) }

func (b Buckets) combine(other Buckets, sign int64) Buckets {
	switch {
	case len(other.Counts) == 0:
		return b
	case len(b.Counts) == 0:
		b.First = other.First
	}
	first := min(b.First, other.First)
	end := max(b.First+len(b.Counts), other.First+len(other.Counts))
	sum := Buckets{first, make([]int64, end-first)}
	for i, n := range b.Counts {
		sum.Counts[b.First-first+i] += n
	}
	for i, n := range other.Counts {
		sum.Counts[other.First-first+i] += sign * n
	}
	return sum
}
