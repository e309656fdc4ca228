package deflate

import "math/bits"

// A bitCode is the code of a symbol as it is written: its bits, the first one lowest, and from bit 16
// their number.
type bitCode uint32

func (c bitCode) bits() uint64 { return uint64(c & 0xffff) }
func (c bitCode) size() uint   { return uint(c >> 16) }

// A huffman builds the optimal code for the frequencies of symbols.
type huffman struct {
	sizes  [maxLiterals + 2]uint8
	codes  [maxLiterals + 2]bitCode
	sorted [maxLiterals]uint32 // frequency of a symbol and, in the lowest 9 bits, its index
	other  [maxLiterals]uint32
	weight [maxLiterals]uint32
}

// build builds codes of at most maxSize bits for the symbols that occur, given in ascending order.
// At least one symbol gets a code.
func (h *huffman) build(occurring []uint16, counts []uint16, maxSize int) {
	clear(h.sizes[:len(counts)])
	if len(occurring) < 2 {
		i := uint16(0)
		if len(occurring) == 1 {
			i = occurring[0]
		}
		h.sizes[i], h.codes[i] = 1, 1<<16
		return
	}
	count := h.assign(h.sort(occurring, counts), maxSize)
	h.number(occurring, &count)
}

// sort returns the symbols, given in ascending order, from the rarest to the most frequent. It is a radix
// sort: most frequencies of a short message have six bits, so that one pass is enough.
func (h *huffman) sort(occurring []uint16, counts []uint16) []uint32 {
	sorted, other := h.sorted[:len(occurring)], h.other[:len(occurring)]
	all := uint32(0)
	for i, s := range occurring {
		sorted[i] = uint32(counts[s])<<9 | uint32(s)
		all |= sorted[i]
	}
	for shift := 9; all>>shift > 0; shift += 6 {
		var next [64]uint16
		for _, s := range sorted {
			next[s>>shift&63]++
		}
		place := uint16(0)
		for i, n := range next {
			next[i] = place
			place += n
		}
		for _, s := range sorted {
			digit := s >> shift & 63
			other[next[digit]] = s
			next[digit]++
		}
		sorted, other = other, sorted
	}
	return sorted
}

// assign assigns sizes to the symbols, which are sorted from the rarest to the most frequent. It
// returns the number of symbols of each size.
func (h *huffman) assign(sorted []uint32, maxSize int) (count [maxCodeSize + 1]uint16) {
	weight := h.weight[:len(sorted)]
	for i, s := range sorted {
		weight[i] = s >> 9
	}
	depths(weight)
	for _, depth := range weight {
		count[min(int(depth), maxSize)]++
	}
	shorten(&count, maxSize)
	for size := maxSize; size > 0; size-- {
		n := count[size]
		for _, s := range sorted[:n] {
			h.sizes[s&511] = uint8(size)
		}
		sorted = sorted[n:]
	}
	return count
}

// depths turns weights, in ascending order, into the depths of their leaves in a Huffman
// tree, in place (Moffat and Katajainen, In-place calculation of minimum-redundancy codes,
// 1995).
func depths(a []uint32) {
	n := len(a)
	// Inner nodes replace leaves that are done. They hold weights, then parents.
	leaf, root := 0, 0
	take := func(next int) uint32 {
		if leaf >= n || root < next && a[root] < a[leaf] {
			w := a[root]
			a[root] = uint32(next)
			root++
			return w
		}
		leaf++
		return a[leaf-1]
	}
	for next := range n - 1 {
		first := take(next)
		a[next] = first + take(next)
	}
	// Parents become depths.
	a[n-2] = 0
	for next := n - 3; next >= 0; next-- {
		a[next] = a[a[next]] + 1
	}
	// Depths of inner nodes become those of leaves.
	available, used, depth := 1, 0, uint32(0)
	inner, next := n-2, n-1
	for available > 0 {
		for inner >= 0 && a[inner] == depth {
			used++
			inner--
		}
		for ; available > used; available-- {
			a[next] = depth
			next--
		}
		available, used = 2*used, 0
		depth++
	}
}

// shorten makes a valid code from sizes of which the largest were reduced: for each excess code, a
// shorter one is made longer.
func shorten(count *[maxCodeSize + 1]uint16, maxSize int) {
	total := 0
	for size := 1; size <= maxSize; size++ {
		total += int(count[size]) << (maxSize - size)
	}
	for ; total > 1<<maxSize; total-- {
		count[maxSize]--
		size := maxSize - 1
		for count[size] == 0 {
			size--
		}
		count[size]--
		count[size+1] += 2
	}
}

// number assigns codes to the symbols by their sizes (RFC 1951 section 3.2.2).
func (h *huffman) number(occurring []uint16, count *[maxCodeSize + 1]uint16) {
	var next [maxCodeSize + 1]uint16
	for size := 2; size <= maxCodeSize; size++ {
		next[size] = (next[size-1] + count[size-1]) << 1
	}
	for _, s := range occurring {
		size := h.sizes[s] & maxCodeSize
		h.codes[s] = bitCode(bits.Reverse16(next[size])>>(16-size)) | bitCode(size)<<16
		next[size]++
	}
}

// cost returns the size in bits of all symbols that occur.
func (h *huffman) cost(occurring []uint16, counts []uint16, alphabet []symbol) int {
	total := 0
	for _, s := range occurring {
		total += int(counts[s]) * (int(h.sizes[s]) + int(alphabet[s].extraBits()))
	}
	return total
}

// fix builds a code from sizes.
func (h *huffman) fix(sizes []uint8) {
	var all []uint16
	var count [maxCodeSize + 1]uint16
	for i, size := range sizes {
		h.sizes[i] = size
		count[size]++
		all = append(all, uint16(i))
	}
	h.number(all, &count)
}
