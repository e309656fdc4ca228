package bounds

import "testing"

// failures is a testing.TB that counts errors.
type failures struct {
	testing.TB
	n int
}

func (f *failures) Helper()               {}
func (f *failures) Errorf(string, ...any) { f.n++ }

var sink []byte

func TestCheckCountsAllocatedBytes(t *testing.T) {
	const size = 8 << 20
	for limit, want := range map[uint64]int{size / 2: 1, size * 2: 0} {
		f := &failures{TB: t}
		Check(f, limit, func() { sink = make([]byte, size) })
		if f.n != want {
			t.Errorf("at most %d of %d bytes: %d failures, want %d", limit, size, f.n, want)
		}
	}
}
