package buffer

import (
	"bytes"
	"testing"

	"github.com/seed004e8d11/websock/internal/race"
)

func TestGetReturnsEmptyBufferOfRequestedCapacity(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 129, 4096, 65550, largest, largest + 1} {
		b := Get(n)
		if len(b.B) != 0 || cap(b.B) < n {
			t.Errorf("Get(%d): len %d, cap %d", n, len(b.B), cap(b.B))
		}
		b.B = append(b.B, "used"...)
		b.Put()
	}
}

func TestGrowKeepsBytes(t *testing.T) {
	b := Get(smallest)
	want := bytes.Repeat([]byte("x"), smallest)
	b.B = append(b.B, want...)
	b.Grow(1000)
	if !bytes.Equal(b.B, want) {
		t.Errorf("bytes changed: %q", b.B)
	}
	if room := cap(b.B) - len(b.B); room < 1000 {
		t.Errorf("room for %d bytes, want 1000", room)
	}
	b.Put()
}

// A buffer that append has grown has a capacity that is no power of two. Get must not return it for a
// larger one.
func TestGetIgnoresTooSmallBuffersThatAppendHasGrown(t *testing.T) {
	for range 100 {
		b := Get(512)
		b.B = append(b.B[:cap(b.B)], 1)
		size := cap(b.B)
		b.Put()
		for _, n := range []int{1024, size} {
			larger := Get(n)
			if cap(larger.B) < n {
				t.Fatalf("Get(%d) returned a buffer of %d bytes", n, cap(larger.B))
			}
			defer larger.Put()
		}
	}
}

func TestEndLoanSucceedsOnce(t *testing.T) {
	b := Get(100)
	loan := b.Loan()
	if !b.EndLoan(loan) || b.EndLoan(loan) {
		t.Error("EndLoan did not succeed exactly once")
	}
	next := b.Loan()
	if b.EndLoan(loan) || !b.EndLoan(next) {
		t.Error("EndLoan of an old loan ended the next one")
	}
	b.Put()
}

func TestGetAndPutDoNotAllocate(t *testing.T) {
	if race.Enabled {
		t.Skip("sync.Pool drops objects at random under the race detector")
	}
	allocs := testing.AllocsPerRun(1000, func() {
		b := Get(1000)
		b.B = append(b.B, 1)
		b.Put()
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

func BenchmarkGetPut(b *testing.B) {
	for b.Loop() {
		Get(1000).Put()
	}
}
