package main

import (
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
