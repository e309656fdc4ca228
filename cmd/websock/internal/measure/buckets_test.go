package measure

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"
)

func TestEveryTimeIsBetweenTheBoundsOfItsBucket(t *testing.T) {
	for µs := int64(0); µs < 1<<40; µs += 1 + µs/17 {
		bucket, d := bucketOf(µs), microseconds(µs)
		if d < lowerBound(bucket) || d >= lowerBound(bucket+1) {
			t.Errorf("%v: bucket %d from %v to %v", d, bucket, lowerBound(bucket), lowerBound(bucket+1))
		}
	}
}

func TestQuantileIsAtMostAQuarterTooLarge(t *testing.T) {
	h := NewHistogram()
	for range 10_000 {
		h.Record(rand.N(100 * time.Millisecond))
	}
	coarse := h.Buckets()
	if coarse.Count() != 10_000 {
		t.Errorf("%d counted", coarse.Count())
	}
	for _, q := range []float64{0.01, 0.5, 0.9, 0.999} {
		exact, got := h.Quantile(q), coarse.Quantile(q)
		if got < exact-exact/500 || got > exact+exact/4+exact/500 {
			t.Errorf("quantile %v: %v, exactly %v", q, got, exact)
		}
	}
	if got := (Buckets{}).Quantile(0.5); got != 0 {
		t.Errorf("of none: %v", got)
	}
}

func TestSumIsAtMostAnEighthOff(t *testing.T) {
	h := NewHistogram()
	var sum time.Duration
	for range 1000 {
		d := 4*time.Microsecond + rand.N(100*time.Millisecond).Truncate(time.Microsecond)
		h.Record(d)
		sum += d
	}
	if got, exact := h.Buckets().Seconds(), sum.Seconds(); got < exact*7/8 || got > exact*9/8 {
		t.Errorf("%v, exactly %v", got, exact)
	}
	if got := (Buckets{First: bucketOf(1_000_000), Counts: []int64{1 << 40}}).Seconds(); got < 1e12 {
		t.Errorf("of a million years: %v", got)
	}
}

func TestQuantileOfFewTimes(t *testing.T) {
	b := Buckets{First: bucketOf(1024), Counts: []int64{1, 1, 1, 1, 1}} // from 1024, 1280, 1536, 1792 and 2048 µs
	for q, µs := range map[float64]int64{0: 1280, 0.1: 1280, 0.2: 1280, 0.21: 1536, 0.5: 1792, 0.8: 2048, 0.9: 2560, 1: 2560} {
		if got := b.Quantile(q); got != microseconds(µs) {
			t.Errorf("%v: %v", q, got)
		}
	}
	hundred := Buckets{First: bucketOf(1024), Counts: []int64{7, 93}}
	if got := hundred.Quantile(0.07); got != microseconds(1280) { // 0.07 * 100 is more than 7
		t.Errorf("%v", got)
	}
}

func TestBucketsAddUp(t *testing.T) {
	early, late := NewHistogram(), NewHistogram()
	early.Record(100 * time.Microsecond)
	late.Record(3 * time.Microsecond)
	late.Record(time.Second)
	a, b := early.Buckets(), late.Buckets()
	sum := a.Add(b)
	counts := map[time.Duration]int64{}
	for bound, n := range sum.All() {
		if n > 0 {
			counts[bound] = n
		}
	}
	if want := map[time.Duration]int64{3 * time.Microsecond: 1, 96 * time.Microsecond: 1, 917504 * time.Microsecond: 1}; !maps.Equal(counts, want) {
		t.Errorf("%v", counts)
	}
	if back := sum.Sub(b); back.Count() != 1 || back.Quantile(1) != a.Quantile(1) {
		t.Errorf("%+v", back)
	}
	if (Buckets{}).Add(a).Count() != 1 || a.Add(Buckets{}).Count() != 1 || (Buckets{}).Add(Buckets{}).Count() != 0 {
		t.Error("with none")
	}
}
