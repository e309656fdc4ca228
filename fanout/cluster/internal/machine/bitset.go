package machine

import (
	"iter"
	"math/bits"
)

// A bitset is a set of partitions.
type bitset struct{ words []uint64 }

func newBitset(n int) bitset { return bitset{make([]uint64, (n+63)/64)} }

func (s bitset) has(n int) bool { return s.words[n/64]>>(n%64)&1 == 1 }

func (s bitset) set(n int, in bool) {
	if in {
		s.words[n/64] |= 1 << (n % 64)
	} else {
		s.words[n/64] &^= 1 << (n % 64)
	}
}

func (s bitset) len() (n int) {
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// each yields what is in the set, in ascending order. What is added or removed meanwhile may be
// missed, or still come.
func (s bitset) each() iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range s.words {
			for ; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// slice returns what is in the set, in ascending order: nil if that is nothing.
func (s bitset) slice() (numbers []int) {
	for n := range s.each() {
		numbers = append(numbers, n)
	}
	return numbers
}
