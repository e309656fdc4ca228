package measure

import (
	"encoding/json"
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
	got := all.Percentiles()
	near := func(got, ms int64) bool { return got >= ms*999 && got <= ms*1001 }
	if !near(got.P50, 500) || !near(got.P90, 900) || !near(got.P99, 990) || !near(got.P999, 999) || !near(got.P9999, 1000) ||
		!near(got.Max, 1000) || !near(got.Min, 1) || got.Mean < 500_000 || got.Mean > 501_500 || all.Count() != 1000 {
		t.Errorf("%+v of %d", got, all.Count())
	}
}

func TestTimesOutsideOfTheRange(t *testing.T) {
	h := NewHistogram()
	h.Record(2 * MaxTime)
	h.Record(-time.Second)
	if h.Max() < MaxTime || h.Min() != 0 || h.Count() != 2 || h.Buckets().Count() != 2 {
		t.Errorf("%v to %v, %d", h.Min(), h.Max(), h.Count())
	}
}

func TestEmptyHistogram(t *testing.T) {
	h := NewHistogram()
	h.Merge(NewHistogram())
	if h.Percentiles() != (Percentiles{}) || h.Count() != 0 || h.Buckets().Count() != 0 {
		t.Errorf("%+v", h.Percentiles())
	}
	h.Bars(func(from, to time.Duration, n int64) { t.Errorf("%d from %v to %v", n, from, to) })
}

func TestResultOfAnotherProcess(t *testing.T) {
	for _, times := range [][]time.Duration{nil, {0, 50 * time.Microsecond, 3 * time.Second}} {
		theirs, sum := NewResult(), NewResult()
		for _, d := range times {
			theirs.Latencies.Record(d)
		}
		encoded, err := json.Marshal(theirs)
		if err != nil {
			t.Fatal(err)
		}
		var decoded Result
		if err := json.Unmarshal(encoded, &decoded); err != nil {
			t.Fatal(err)
		}
		sum.Add(decoded)
		h, got := theirs.Latencies, sum.Latencies
		if got.Percentiles() != h.Percentiles() || got.Count() != h.Count() || got.Buckets().Count() != h.Count() || sum.OneWay.Count() != 0 {
			t.Errorf("%v: %+v", times, got.Percentiles())
		}
	}
}
