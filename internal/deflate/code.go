package deflate

import "math/bits"

// Tables are indexed by so many bits. With more, fewer codes would be too long for the table, but it
// would take longer to build, which counts for short messages.
const (
	literalBits  = 9
	distanceBits = 7
	sizeBits     = 7 // the longest code of a size
)

// A code is a canonical prefix code (RFC 1951 section 3.2.2). Symbols with short codes are looked up in
// a table, others are found by trying one size after another.
type code struct {
	alphabet []symbol
	sorted   [maxLiterals + 2]uint16 // indices in the alphabet, in the order of their codes
	count    [maxCodeSize + 1]uint16 // codes of each size
	first    [maxCodeSize + 1]uint16 // first code of each size
	place    [maxCodeSize + 1]uint16 // its index in sorted
}

// build builds a code from the sizes of its symbols' codes, and fills the table. It reports whether
// the code is valid: it must be complete, unless it has only one symbol, of one bit, or none (RFC
// 1951 section 3.2.7).
func (c *code) build(table, alphabet []symbol, sizes []uint8) bool {
	c.alphabet = alphabet
	c.count = [maxCodeSize + 1]uint16{}
	for _, size := range sizes {
		c.count[size]++
	}
	used := len(sizes) - int(c.count[0])
	c.count[0] = 0
	next, place := 0, 0
	for size := 1; size <= maxCodeSize; size++ {
		next <<= 1
		c.first[size], c.place[size] = uint16(next), uint16(place)
		next += int(c.count[size])
		place += int(c.count[size])
		if next > 1<<size {
			return false
		}
	}
	complete := next == 1<<maxCodeSize
	if !complete && used > int(c.count[1]) {
		return false
	}
	c.sort(sizes)
	c.fill(table, complete)
	return true
}

func (c *code) sort(sizes []uint8) {
	next := c.place
	for i, size := range sizes {
		if size > 0 {
			c.sorted[next[size]] = uint16(i)
			next[size]++
		}
	}
}

// fill fills the table: for codes of one bit, then doubled for those of two, and so on.
func (c *code) fill(table []symbol, complete bool) {
	unused := long
	if !complete {
		unused = invalid | 1
	}
	table[0], table[1] = unused, unused
	sorted := c.sorted[:]
	for size := 1; 1<<size <= len(table); size++ {
		if half := 1 << (size - 1); size > 1 {
			copy(table[half:], table[:half])
		}
		n := int(c.count[size])
		for i, s := range sorted[:n] {
			code := bits.Reverse16(c.first[size]+uint16(i)) >> (16 - size)
			table[code] = c.alphabet[s] | symbol(size)
		}
		sorted = sorted[n:]
	}
}

// find returns the symbol whose code, longer than tableBits, b starts with.
func (c *code) find(b uint64, tableBits int) symbol {
	code := int(bits.Reverse16(uint16(b)) >> (16 - tableBits))
	b >>= tableBits
	for size := tableBits + 1; size <= maxCodeSize; size++ {
		code = code<<1 | int(b&1)
		b >>= 1
		if i := code - int(c.first[size]); i < int(c.count[size]) {
			return c.alphabet[c.sorted[int(c.place[size])+i]] | symbol(size)
		}
	}
	return invalid | maxCodeSize
}

// The fixed codes (RFC 1951 section 3.2.6). All of them fit in the tables.
var fixedLiterals, fixedDistances = newFixedTables()

func newFixedTables() (literals [1 << literalBits]symbol, distances [1 << distanceBits]symbol) {
	literalSizes, distanceSizes := fixedSizes()
	var c code
	c.build(literals[:], literalSymbols[:], literalSizes[:])
	c.build(distances[:], distanceSymbols[:], distanceSizes[:])
	return literals, distances
}

func fixedSizes() (literals [maxLiterals + 2]uint8, distances [maxDistances + 2]uint8) {
	for i := range literals {
		switch {
		case i < 144, i >= 280:
			literals[i] = 8
		case i < 256:
			literals[i] = 9
		default:
			literals[i] = 7
		}
	}
	for i := range distances {
		distances[i] = 5
	}
	return literals, distances
}
