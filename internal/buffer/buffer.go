package buffer

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/mask"
)

const (
	smallest      = 1 << smallestClass
	largest       = 1 << largestClass
	smallestClass = 7
	largestClass  = 22
)

// One pool for each power of two, found by its exponent: on the path of every
// frame the lookup in github.com/gobwas/pool's map costs more than the pool.
var pools [largestClass + 1]sync.Pool

// lent is the result of Lent.
var lent atomic.Int64

// Lent returns the number of buffers that Get returned and that were not Put. They are counted only
// under the race detector.
func Lent() int { return int(lent.Load()) }

// class returns the exponent of the smallest power of two that is at least n.
func class(n int) int { return bits.Len(uint(max(n, smallest) - 1)) }

// A Buffer is a byte slice from a pool. B may be appended to; call Grow before that exceeds its
// capacity, so that the memory comes from a pool, too.
type Buffer struct {
	B []byte

	// Vec is an array for calls that take a slice of slices, so that it need not be allocated. What it
	// has of other memory than that of B must be removed before Put.
	Vec [2][]byte

	keys *mask.Keys // nil until NewKey is called
	loan atomic.Uint32
}

// Loan returns a number for this use of the buffer, for callers that may try to end it twice. EndLoan
// changes it.
func (b *Buffer) Loan() uint32 { return b.loan.Load() }

// EndLoan ends the loan and returns true if it is the current one. Then the caller must Put the buffer,
// now or later. Any goroutine may call it, even after the buffer was reused.
func (b *Buffer) EndLoan(loan uint32) bool { return b.loan.CompareAndSwap(loan, loan+1) }

// NewKey returns a masking key for a frame in the buffer, from a generator that stays with the buffer.
func (b *Buffer) NewKey() [4]byte {
	if b.keys == nil {
		b.keys = mask.NewKeys()
	}
	return b.keys.New()
}

// Get returns a buffer with length 0 and a capacity of at least n. It is safe for concurrent use.
func Get(n int) *Buffer {
	b := take(n)
	b.borrowed()
	return b
}

// take takes a buffer from its pool, or allocates one.
func take(n int) *Buffer {
	k := class(n)
	if k > largestClass {
		return &Buffer{B: make([]byte, 0, n)}
	}
	if b, ok := pools[k].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, 0, 1<<k)}
}

// Put returns the buffer to its pool; it must not be used afterwards. Very large buffers are left to the
// garbage collector.
func (b *Buffer) Put() {
	b.returned()
	size := cap(b.B)
	if size < smallest || size > largest {
		return
	}
	pools[bits.Len(uint(size))-1].Put(b) // after append the capacity may be no power of two
}

// borrowed counts b as lent.
func (b *Buffer) borrowed() {
	if race.Enabled {
		lent.Add(1)
	}
}

// returned empties b and counts it as no longer lent.
func (b *Buffer) returned() {
	if race.Enabled {
		lent.Add(-1)
	}
	b.B = b.B[:0]
}

// Grow makes room for n more bytes at the end of B.
func (b *Buffer) Grow(n int) {
	if cap(b.B)-len(b.B) >= n {
		return
	}
	larger := Get(max(len(b.B)+n, 2*cap(b.B)))
	larger.B = append(larger.B, b.B...)
	b.B, larger.B = larger.B, b.B
	larger.Put()
}
