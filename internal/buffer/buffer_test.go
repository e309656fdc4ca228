package buffer

import (
	"bytes"
	"testing"

	"github.com/seed004e8d11/websock/internal/race"
)

func TestGetLendsAnEmptyBufferOfAtLeastTheSizeAskedFor(t *testing.T) {
	for _, n := range []int{0, 1, 127, 128, 129, 4096, 65550, largest, largest + 1} {
		b := Get(n)
		if len(b.B) != 0 || cap(b.B) < n {
			t.Errorf("Get(%d): len %d, cap %d", n, len(b.B), cap(b.B))
		}
		b.B = append(b.B, "used"...)
		b.Put()
	}
}

func TestGrowKeepsTheBytes(t *testing.T) {
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

// A buffer whose bytes were appended beyond its capacity has one that is no power of two. It
// must not be lent to somebody who needs more.
func TestABufferThatAppendHasGrownIsNotLentForMoreThanItHas(t *testing.T) {
	for range 100 {
		b := Get(512)
		b.B = append(b.B[:cap(b.B)], 1)
		size := cap(b.B)
		b.Put()
		for _, n := range []int{1024, size} {
			lent := Get(n)
			if cap(lent.B) < n {
				t.Fatalf("a buffer of %d bytes was lent for %d", cap(lent.B), n)
			}
			defer lent.Put()
		}
	}
}

func TestALoanEndsOnce(t *testing.T) {
	b := Get(100)
	loan := b.Loan()
	if !b.EndLoan(loan) || b.EndLoan(loan) {
		t.Error("the loan ended not at all, or twice")
	}
	next := b.Loan()
	if b.EndLoan(loan) || !b.EndLoan(next) {
		t.Error("a loan that has ended ends the next one")
	}
	b.Put()
}

func TestLendingAllocatesNothing(t *testing.T) {
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
