package report

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// maxLatency is the largest latency that a histogram records; larger ones count as this.
const maxLatency = time.Minute

// A Histogram counts latencies, the time between sending a message and receiving its echo, in
// microseconds. Record may be called by several goroutines.
type Histogram struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram {
	return &Histogram{h: hdrhistogram.New(1, maxLatency.Microseconds(), 3)}
}

// Record counts a latency.
func (h *Histogram) Record(d time.Duration) {
	µs := min(d, maxLatency).Microseconds()
	h.mu.Lock()
	h.h.RecordValue(µs) // always in range
	h.mu.Unlock()
}

// Merge adds the counts of another histogram. The receiver must not be in use meanwhile.
func (h *Histogram) Merge(other *Histogram) {
	other.mu.Lock()
	h.h.Merge(other.h)
	other.mu.Unlock()
}

// MarshalJSON encodes the histogram for the parent process.
func (h *Histogram) MarshalJSON() ([]byte, error) { return json.Marshal(h.h.Export()) }

// UnmarshalJSON decodes the histogram of a worker process.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var counts hdrhistogram.Snapshot
	if err := json.Unmarshal(b, &counts); err != nil {
		return err
	}
	h.h = hdrhistogram.Import(&counts)
	return nil
}

// Percentiles are in microseconds.
type Percentiles struct {
	P50 int64 `json:"p50"`
	P90 int64 `json:"p90"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

func (h *Histogram) percentiles() Percentiles {
	return Percentiles{
		P50: h.h.ValueAtQuantile(50),
		P90: h.h.ValueAtQuantile(90),
		P99: h.h.ValueAtQuantile(99),
		Max: h.h.Max(),
	}
}

// distribution returns consecutive round numbers and for each the count of latencies up to it
// that are above the one before. There is at least one.
func (h *Histogram) distribution() (bounds []time.Duration, counts []float64) {
	bounds, counts = []time.Duration{roundUp(microseconds(h.h.Min()))}, []float64{0}
	for _, bar := range h.h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		for bounds[len(bounds)-1] < microseconds(bar.To) {
			bounds = append(bounds, roundUp(bounds[len(bounds)-1]+1))
			counts = append(counts, 0)
		}
		counts[len(counts)-1] += float64(bar.Count)
	}
	return bounds, counts
}

// roundUp returns the smallest of 1, 2 and 5 µs, 10, 20 and 50 µs and so on that is at least d.
func roundUp(d time.Duration) time.Duration {
	for bound := time.Microsecond; ; bound *= 10 {
		for _, factor := range []time.Duration{1, 2, 5} {
			if d <= factor*bound {
				return factor * bound
			}
		}
	}
}
