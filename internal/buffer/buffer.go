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

// lent counts what Lent returns.
var lent atomic.Int64

// Lent returns how many buffers are lent and not given back. They are counted only under the
// race detector.
func Lent() int { return int(lent.Load()) }

// class returns the exponent of the smallest power of two that is at least n.
func class(n int) int { return bits.Len(uint(max(n, smallest) - 1)) }

// A Buffer is a borrowed byte slice. B may be appended to; beyond its capacity,
// Grow keeps the memory borrowed.
type Buffer struct {
	B []byte

	// Vec lends its array to calls that take a slice of slices, which then
	// needn't be allocated.
	Vec [2][]byte

	keys *mask.Keys // nil: nobody has asked for a key
	loan atomic.Uint32
}

// Loan returns the number of the loan, for a borrower who may try to end it twice. It changes
// with EndLoan.
func (b *Buffer) Loan() uint32 { return b.loan.Load() }

// EndLoan reports whether the loan of that number is the present one, and ends it: the first
// caller is to Put the buffer, at any time later. It may be called from any goroutine, also
// when the buffer was lent again.
func (b *Buffer) EndLoan(loan uint32) bool { return b.loan.CompareAndSwap(loan, loan+1) }

// NewKey returns a masking key for a frame in the buffer: who has borrowed this one needn't
// borrow a generator of keys as well.
func (b *Buffer) NewKey() [4]byte {
	if b.keys == nil {
		b.keys = mask.NewKeys()
	}
	return b.keys.New()
}

// Get lends a buffer with no bytes and a capacity of at least n. It may be
// called from any goroutine.
func Get(n int) *Buffer {
	if race.Enabled {
		lent.Add(1)
	}
	k := class(n)
	if k > largestClass {
		return &Buffer{B: make([]byte, 0, n)}
	}
	if b, ok := pools[k].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{B: make([]byte, 0, 1<<k)}
}

// Put gives the buffer back; nothing may use it afterwards. A buffer that is too
// large to be worth keeping is left to the garbage collector.
func (b *Buffer) Put() {
	if race.Enabled {
		lent.Add(-1)
	}
	size := cap(b.B)
	if size < smallest || size > largest {
		return
	}
	b.B = b.B[:0]
	b.Vec = [2][]byte{}
	pools[bits.Len(uint(size))-1].Put(b) // append may have made it no power of two
}

// Grow makes room for n more bytes behind those that B has.
func (b *Buffer) Grow(n int) {
	if cap(b.B)-len(b.B) >= n {
		return
	}
	larger := Get(max(len(b.B)+n, 2*cap(b.B)))
	larger.B = append(larger.B, b.B...)
	b.B, larger.B = larger.B, b.B
	larger.Put()
}
