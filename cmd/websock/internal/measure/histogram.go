package measure

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// MaxTime is the largest time that a Histogram records; larger ones count as this.
const MaxTime = 10 * time.Minute

// A Histogram counts times in microseconds, with three significant digits. It is empty at first, and
// takes memory from the first Record on. All methods may be called by several goroutines.
type Histogram struct {
	mu      sync.Mutex
	exact   *hdrhistogram.Histogram // nil: empty
	buckets []int64                 // the same times, coarsely
}

// NewHistogram returns an empty histogram.
func NewHistogram() *Histogram { return new(Histogram) }

// countLocked makes room, and returns what counts exactly.
func (h *Histogram) countLocked() *hdrhistogram.Histogram {
	if h.exact == nil {
		const digits = 3
		h.exact = hdrhistogram.New(1, MaxTime.Microseconds(), digits)
		h.buckets = make([]int64, bucketOf(MaxTime.Microseconds())+1)
	}
	return h.exact
}

// Record counts a time. One below 0 counts as 0.
func (h *Histogram) Record(d time.Duration) {
	µs := max(min(d, MaxTime), 0).Microseconds()
	h.mu.Lock()
	h.countLocked().RecordValue(µs) // always in range
	h.buckets[bucketOf(µs)]++
	h.mu.Unlock()
}

// Merge adds the counts of another histogram.
func (h *Histogram) Merge(other *Histogram) {
	other.mu.Lock()
	defer other.mu.Unlock()
	if other.exact == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.countLocked().Merge(other.exact)
	for i, n := range other.buckets {
		h.buckets[i] += n
	}
}

// Buckets returns what has been counted, coarsely.
func (h *Histogram) Buckets() Buckets {
	h.mu.Lock()
	defer h.mu.Unlock()
	isCount := func(n int64) bool { return n != 0 }
	first := slices.IndexFunc(h.buckets, isCount)
	if first < 0 {
		return Buckets{}
	}
	end := len(h.buckets)
	for h.buckets[end-1] == 0 {
		end--
	}
	return Buckets{first, slices.Clone(h.buckets[first:end])}
}

// Count returns how many times have been counted.
func (h *Histogram) Count() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exact == nil {
		return 0
	}
	return h.exact.TotalCount()
}

// Quantile returns the time that a part q of the times, from 0 to 1, don't exceed, and 0 if there are none.
func (h *Histogram) Quantile(q float64) time.Duration {
	return h.value(func(exact *hdrhistogram.Histogram) int64 { return exact.ValueAtQuantile(100 * q) })
}

// Min returns the least time, and 0 if there is none.
func (h *Histogram) Min() time.Duration { return h.value((*hdrhistogram.Histogram).Min) }

// Max returns the largest time, and 0 if there is none.
func (h *Histogram) Max() time.Duration { return h.value((*hdrhistogram.Histogram).Max) }

// Mean returns the mean of all times, and 0 if there are none.
func (h *Histogram) Mean() time.Duration {
	return h.value(func(exact *hdrhistogram.Histogram) int64 { return int64(exact.Mean()) })
}

func (h *Histogram) value(of func(*hdrhistogram.Histogram) int64) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exact == nil {
		return 0
	}
	return microseconds(of(h.exact))
}

// MarshalJSON encodes the histogram for another process.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exact == nil {
		return []byte("{}"), nil
	}
	return json.Marshal(h.exact.Export())
}

// UnmarshalJSON decodes the histogram of another process.
func (h *Histogram) UnmarshalJSON(b []byte) error {
	var counts hdrhistogram.Snapshot
	if err := json.Unmarshal(b, &counts); err != nil || len(counts.Counts) == 0 {
		return err
	}
	h.countLocked().Merge(hdrhistogram.Import(&counts))
	for _, bar := range h.exact.Distribution() {
		h.buckets[bucketOf(bar.From)] += bar.Count
	}
	return nil
}

// Percentiles are in microseconds.
type Percentiles struct {
	Min   int64 `json:"min"`
	Mean  int64 `json:"mean"`
	P50   int64 `json:"p50"`
	P75   int64 `json:"p75"`
	P90   int64 `json:"p90"`
	P95   int64 `json:"p95"`
	P99   int64 `json:"p99"`
	P999  int64 `json:"p99.9"`
	P9999 int64 `json:"p99.99"`
	Max   int64 `json:"max"`
}

// Percentiles returns those of all times counted, and zeros if there are none.
func (h *Histogram) Percentiles() Percentiles {
	of := func(q float64) int64 { return h.Quantile(q).Microseconds() }
	return Percentiles{
		Min: h.Min().Microseconds(), Mean: h.Mean().Microseconds(),
		P50: of(0.5), P75: of(0.75), P90: of(0.9), P95: of(0.95), P99: of(0.99), P999: of(0.999), P9999: of(0.9999),
		Max: h.Max().Microseconds(),
	}
}

// Bars calls f for ranges of times, in order, and how many times each counts, none of them 0.
func (h *Histogram) Bars(f func(from, to time.Duration, n int64)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exact == nil {
		return
	}
	for _, bar := range h.exact.Distribution() {
		if bar.Count > 0 {
			f(microseconds(bar.From), microseconds(bar.To), bar.Count)
		}
	}
}

func microseconds(µs int64) time.Duration { return time.Duration(µs) * time.Microsecond }
