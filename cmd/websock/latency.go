package main

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longestLatency is the largest that can be told from larger ones.
const longestLatency = time.Minute

// A latency is a histogram of the time between sending a message and receiving its
// echo, in microseconds. Every connection has one that it shares with few others.
type latency struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newLatency() *latency {
	return &latency{h: hdrhistogram.New(1, longestLatency.Microseconds(), 3)}
}

func (l *latency) record(d time.Duration) {
	µs := min(d, longestLatency).Microseconds()
	l.mu.Lock()
	l.h.RecordValue(µs) // within the histogram's range
	l.mu.Unlock()
}

// merge adds what another has recorded.
func (l *latency) merge(other *latency) {
	other.mu.Lock()
	l.h.Merge(other.h)
	other.mu.Unlock()
}

// MarshalJSON and UnmarshalJSON carry a histogram from one process to another.
func (l *latency) MarshalJSON() ([]byte, error) { return json.Marshal(l.h.Export()) }

func (l *latency) UnmarshalJSON(b []byte) error {
	var counts hdrhistogram.Snapshot
	if err := json.Unmarshal(b, &counts); err != nil {
		return err
	}
	l.h = hdrhistogram.Import(&counts)
	return nil
}

// percentiles are in microseconds.
type percentiles struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

func (l *latency) percentiles() percentiles {
	return percentiles{
		P50: l.h.ValueAtQuantile(50),
		P90: l.h.ValueAtQuantile(90),
		P99: l.h.ValueAtQuantile(99),
		Max: l.h.Max(),
	}
}

// distribution returns how many latencies lie between each round number and the one before
// it. There is at least one.
func (l *latency) distribution() (bounds []time.Duration, counts []float64) {
	bounds, counts = []time.Duration{roundNumber(microseconds(l.h.Min()))}, []float64{0}
	for _, bar := range l.h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for bounds[len(bounds)-1] < microseconds(bar.To) {
			bounds = append(bounds, roundNumber(bounds[len(bounds)-1]+1))
			counts = append(counts, 0)
		}
		counts[len(counts)-1] += float64(bar.Count)
	}
	return bounds, counts
}

// roundNumber returns the smallest of 1, 2 and 5 µs, 10, 20 and 50 µs and so on that is not
// below d.
func roundNumber(d time.Duration) time.Duration {
	for bound := time.Microsecond; ; bound *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if d <= factor*bound {
				return factor * bound
			}
		}
	}
}
