package fuzz

import (
	"runtime/metrics"
	"testing"
	"time"
)

// patience is how long one input may keep the code under test busy.
const patience = time.Minute

// bounded runs f, which must come to its end and allocate at most most bytes, all in all.
// What it finds is exact to the size of the allocator's spans.
func bounded(t *testing.T, most uint64, f func()) {
	t.Helper()
	hang := time.AfterFunc(patience, func() { panic("an input without an end") }) // shows all goroutines
	defer hang.Stop()
	before := allocated()
	f()
	if took := allocated() - before; took > most {
		t.Fatalf("%d bytes were allocated, more than %d", took, most)
	}
}

// allocated returns how many bytes the process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
