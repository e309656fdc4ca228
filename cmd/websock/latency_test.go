package main

import (
	"slices"
	"testing"
	"time"
)

func TestPercentilesOfMergedHistograms(t *testing.T) {
	all := newLatency()
	for part := range 4 {
		l := newLatency()
		for ms := 1 + part; ms <= 1000; ms += 4 {
			l.record(time.Duration(ms) * time.Millisecond)
		}
		all.merge(l)
	}
	got := all.percentiles()
	near := func(got, ms int64) bool { return got >= ms*999 && got <= ms*1001 }
	if !near(got.P50, 500) || !near(got.P90, 900) || !near(got.P99, 990) || !near(got.Max, 1000) {
		t.Errorf("%+v", got)
	}
}

func TestLatencyAboveTheLongest(t *testing.T) {
	l := newLatency()
	l.record(2 * longestLatency)
	if got := l.percentiles().Max; got < longestLatency.Microseconds() {
		t.Errorf("%d", got)
	}
}

func TestRoundNumbers(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: time.Microsecond, 1: time.Microsecond, time.Microsecond: time.Microsecond,
		3 * time.Microsecond: 5 * time.Microsecond, 11 * time.Millisecond: 20 * time.Millisecond,
		time.Minute: 100 * time.Second,
	} {
		if got := roundNumber(d); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestDistributionHasAllRoundNumbersBetween(t *testing.T) {
	l := newLatency()
	for _, d := range []time.Duration{30 * time.Microsecond, 50 * time.Microsecond, 400 * time.Microsecond} {
		l.record(d)
	}
	bounds, counts := l.distribution()
	wantBounds := []time.Duration{50 * time.Microsecond, 100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond}
	if wantCounts := []float64{2, 0, 0, 1}; !slices.Equal(bounds, wantBounds) || !slices.Equal(counts, wantCounts) {
		t.Errorf("%v %v", bounds, counts)
	}
	if bounds, counts := newLatency().distribution(); len(bounds) != 1 || counts[0] != 0 {
		t.Errorf("of none: %v %v", bounds, counts)
	}
}
