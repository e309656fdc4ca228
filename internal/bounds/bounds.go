package bounds

import (
	"runtime/metrics"
	"testing"
	"time"
)

// patience is how long the code under test may take for one input.
const patience = time.Minute

// Check runs f, which may allocate at most limit bytes in total. Allocations of other goroutines
// count, too, and small objects count as whole pages. If f hangs, the process panics and prints all
// goroutines, since nothing else ends a fuzz target that hangs.
func Check(t testing.TB, limit uint64, f func()) {
	t.Helper()
	hang := time.AfterFunc(patience, func() { panic(t.Name() + " hangs") })
	defer hang.Stop()
	before := allocated()
	f()
	if took := allocated() - before; took > limit {
		t.Errorf("%d bytes were allocated, more than %d", took, limit)
	}
}

// allocated returns how many bytes the process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
