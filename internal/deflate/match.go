package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	maxWindow   = 1 << 15
	maxHashBits = 15
	minHashBits = 9

	// fastHashBits are those of level 1, whose table then fits in a first-level cache.
	fastHashBits = 14

	// anchor is the length of the shortest match that is looked for. Shorter ones rarely pay.
	anchor = 4

	// near is the largest distance at which a match of four bytes pays.
	near = 512
)

// A finder maps four bytes, or five for level 1, to their last index in the data and, for levels above 1,
// to earlier ones. For those levels, 0 means none, so they never find index 0.
type finder struct {
	shift    uint
	latest   [1 << maxHashBits]uint16
	previous []uint16
}

// efforts has for each level how many indices are tried for a match, and the length that ends the
// search.
var efforts = [10]struct{ tries, enough int }{
	2: {4, 16}, 3: {8, 32}, 4: {8, 32}, 5: {16, 64}, 6: {32, 128}, 7: {64, maxMatch}, 8: {256, maxMatch}, 9: {1024, maxMatch},
}

// begin prepares for n bytes of new data, with at most so many bits of the hash.
func (f *finder) begin(n, most int) {
	hashBits := min(max(bits.Len(uint(n)), minHashBits), most)
	f.shift = 32 - uint(hashBits)
	clear(f.latest[:1<<hashBits])
}

func (f *finder) hash(four uint32) uint32 {
	return (four * 2654435761) >> (f.shift & 31) & (1<<maxHashBits - 1)
}

func load4(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

// hash5 returns the bits from shift of a 64-bit hash of the lower five of eight bytes.
func hash5(eight uint64, shift uint) uint64 {
	return (eight * (889523592379 << 24 & (1<<64 - 1))) >> (shift & 63) & (1<<maxHashBits - 1)
}

func load8(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// matchSize returns the length of the common prefix of data[a:] and data[b:], where a < b.
func matchSize(data []byte, a, b int) int {
	n := 0
	for len(data)-b-n >= 8 {
		x := binary.LittleEndian.Uint64(data[a+n:]) ^ binary.LittleEndian.Uint64(data[b+n:])
		if x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for b+n < len(data) && data[a+n] == data[b+n] {
		n++
	}
	return n
}

// find appends the tokens of data[from:], where padding bytes follow data that may be read.
func (d *Deflater) find(data []byte, from, padding int) {
	if d.level == 1 {
		d.finder.begin(len(data), fastHashBits)
		d.findFast(data, from, padding)
	} else {
		d.finder.begin(len(data), maxHashBits)
		d.findBest(data, from)
	}
	d.tokens.finish()
}

// strides has the distances between the indices of the history that level 1 inserts, by how far back
// they are. Inserting them takes most of the time when a short message has a long history, and most
// matches are long enough to be found anyway, since they are extended in both directions.
var strides = []struct{ back, stride int }{{8 << 10, 8}, {2 << 10, 4}, {0, 2}}

// remember inserts indices of the history, data[:from], for level 1.
func (f *finder) remember(data []byte, from int) {
	shift := f.shift + 32
	i := 1
	for _, s := range strides {
		for end := min(from-s.back, len(data)-8+1); i < end; i += s.stride {
			f.latest[hash5(load8(data, i), shift)] = uint16(i)
		}
	}
}

// findFast uses the first match that it finds at two of three indices. It finds most others by extending
// matches backward.
func (d *Deflater) findFast(data []byte, from, padding int) {
	f, t := &d.finder, &d.tokens
	f.remember(data, from)
	latest, shift, window := &f.latest, f.shift+32, d.window
	padded := data[:len(data)+padding]
	last := len(padded) - 8 // the last index of eight bytes
	next := from            // the first byte that has no token yet
	step := 1               // to the next index: 1 and 2 in turns
	for i := max(1, from); i <= last; {
		eight := load8(padded, i)
		h := hash5(eight, shift)
		earlier := int(latest[h]) // 0 if none, which is as good as any index
		latest[h] = uint16(i)
		if i-earlier > window || load4(data, earlier) != uint32(eight) {
			step ^= 1 ^ 2
			i += step + (i-next)>>6
			continue
		}
		size := anchor + matchSize(data, earlier+anchor, i+anchor)
		if size == anchor && i-earlier > near {
			i++
			continue
		}
		end := i + size
		for i > next && earlier > 0 && data[i-1] == data[earlier-1] {
			i--
			earlier--
		}
		t.addLiterals(data, next, i)
		t.addMatch(end-i, i-earlier)
		if end <= last {
			// A loop over more indices of the match would take longer: the processor can't
			// predict where it ends.
			latest[hash5(load8(padded, i+1), shift)] = uint16(i + 1)
			latest[hash5(load8(padded, end-2), shift)] = uint16(end - 2)
		}
		i, next = end, end
	}
	t.addLiterals(data, next, len(data))
}

// insert inserts index i.
func (f *finder) insert(data []byte, i int) {
	latest := &f.latest[f.hash(load4(data, i))]
	f.previous[i] = *latest
	*latest = uint16(i)
}

// findBest looks for long matches, and for a longer one at the next index.
func (d *Deflater) findBest(data []byte, from int) {
	f, t := &d.finder, &d.tokens
	last := len(data) - anchor
	for i := 1; i < min(from, last+1); i++ {
		f.insert(data, i)
	}
	next := from
	for i := max(1, from); i <= last; {
		f.insert(data, i)
		length, distance := d.longest(data, i, anchor-1)
		if length < anchor {
			i++
			continue
		}
		for i < last && length < efforts[d.level].enough {
			f.insert(data, i+1)
			longer, further := d.longest(data, i+1, length)
			if longer <= length {
				break
			}
			i++
			length, distance = longer, further
		}
		t.addLiterals(data, next, i)
		t.addMatch(length, distance)
		end := i + length
		for i += 2; i < min(end, last+1); i++ {
			f.insert(data, i)
		}
		i, next = end, end
	}
	t.addLiterals(data, next, len(data))
}

// longest returns the longest match for index i, the last one inserted, if it is longer than least.
func (d *Deflater) longest(data []byte, i, least int) (length, distance int) {
	effort := &efforts[d.level]
	four := load4(data, i)
	earlier := int(d.finder.previous[i])
	length = least
	for range effort.tries {
		if earlier == 0 || i-earlier > d.window {
			break
		}
		if load4(data, earlier) == four && i+length < len(data) && data[earlier+length] == data[i+length] {
			if n := matchSize(data, earlier, i); n > length {
				length, distance = n, i-earlier
				if n >= effort.enough {
					break
				}
			}
		}
		next := int(d.finder.previous[earlier])
		if next >= earlier {
			break
		}
		earlier = next
	}
	if distance == 0 {
		return 0, 0
	}
	return length, distance
}
