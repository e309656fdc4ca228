package report

import (
	"slices"
	"testing"
	"time"
)

func TestPercentilesOfMergedHistograms(t *testing.T) {
	all := NewHistogram()
	for part := range 4 {
		h := NewHistogram()
		for ms := 1 + part; ms <= 1000; ms += 4 {
			h.Record(time.Duration(ms) * time.Millisecond)
		}
		all.Merge(h)
	}
	got := all.percentiles()
	near := func(got, ms int64) bool { return got >= ms*999 && got <= ms*1001 }
	if !near(got.P50, 500) || !near(got.P90, 900) || !near(got.P99, 990) || !near(got.Max, 1000) {
		t.Errorf("%+v", got)
	}
}

func TestLatencyAboveTheMaximumCountsAsTheMaximum(t *testing.T) {
	h := NewHistogram()
	h.Record(2 * maxLatency)
	if got := h.percentiles().Max; got < maxLatency.Microseconds() {
		t.Errorf("%d", got)
	}
}

func TestRoundUp(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: time.Microsecond, 1: time.Microsecond, time.Microsecond: time.Microsecond,
		3 * time.Microsecond: 5 * time.Microsecond, 11 * time.Millisecond: 20 * time.Millisecond,
		time.Minute: 100 * time.Second,
	} {
		if got := roundUp(d); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestDistributionHasNoGaps(t *testing.T) {
	h := NewHistogram()
	for _, d := range []time.Duration{30 * time.Microsecond, 50 * time.Microsecond, 400 * time.Microsecond} {
		h.Record(d)
	}
	bounds, counts := h.distribution()
	wantBounds := []time.Duration{50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond}
	if wantCounts := []float64{2, 0, 0, 1}; !slices.Equal(bounds, wantBounds) || !slices.Equal(counts, wantCounts) {
		t.Errorf("%v %v", bounds, counts)
	}
	if bounds, counts := NewHistogram().distribution(); len(bounds) != 1 || counts[0] != 0 {
		t.Errorf("of none: %v %v", bounds, counts)
	}
}
