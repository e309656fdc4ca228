package bounds

import (
	"runtime/metrics"
	"testing"
	"time"
)

// patience is how long one input may keep the code under test busy.
const patience = time.Minute

// Check runs f, which must come to its end and allocate at most most bytes, all in all;
// what else the process allocates meanwhile counts too, and small objects count by the
// page. If f hangs, the process panics and shows all goroutines, since nothing else ends a
// fuzz target that hangs.
func Check(t testing.TB, most uint64, f func()) {
	t.Helper()
	hang := time.AfterFunc(patience, func() { panic(t.Name() + " hangs") })
	defer hang.Stop()
	before := allocated()
	f()
	if took := allocated() - before; took > most {
		t.Errorf("%d bytes were allocated, more than %d", took, most)
	}
}

// allocated returns how many bytes the process has allocated so far.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
