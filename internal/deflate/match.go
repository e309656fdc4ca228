package deflate

import (
	"encoding/binary"
	"math/bits"
)

const (
	maxWindow   = 1 << 15
	maxHashBits = 15
	minHashBits = 9

	// anchor is the length of the shortest match that is looked for. Shorter ones rarely pay.
	anchor = 4

	// near is the largest distance at which a match of four bytes pays.
	near = 512
)

// A finder maps four bytes to their last index in the data and, for levels above 1, to earlier ones.
// 0 means none, so index 0 is never found.
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

// begin prepares for new data.
func (f *finder) begin(n int) {
	hashBits := min(max(bits.Len(uint(n)), minHashBits), maxHashBits)
	f.shift = 32 - uint(hashBits)
	clear(f.latest[:1<<hashBits])
}

func (f *finder) hash(four uint32) uint32 {
	return (four * 2654435761) >> (f.shift & 31) & (1<<maxHashBits - 1)
}

func load4(b []byte, i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }

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

// find appends the tokens of data[from:].
func (d *Deflater) find(data []byte, from int) {
	d.finder.begin(len(data))
	if d.level == 1 {
		d.findFast(data, from)
	} else {
		d.findBest(data, from)
	}
}

// strides has the distances between the indices of the history that level 1 inserts, by how far back
// they are. Inserting them takes most of the time when a short message has a long history, and most
// matches are long enough to be found anyway, since they are extended in both directions.
var strides = []struct{ back, stride int }{{8 << 10, 8}, {2 << 10, 4}, {0, 2}}

// remember inserts indices of the history, data[:from], for level 1.
func (f *finder) remember(data []byte, from int) {
	i := 1
	for _, s := range strides {
		for end := min(from-s.back, len(data)-anchor+1); i < end; i += s.stride {
			f.latest[f.hash(load4(data, i))] = uint16(i)
		}
	}
}

// findFast uses the first match that it finds.
func (d *Deflater) findFast(data []byte, from int) {
	f, t := &d.finder, &d.tokens
	f.remember(data, from)
	last := len(data) - anchor // the last index of four bytes
	next := from               // the first byte that has no token yet
	for i := max(1, from); i <= last; {
		four := load4(data, i)
		h := f.hash(four)
		earlier := int(f.latest[h])
		f.latest[h] = uint16(i)
		if earlier == 0 || i-earlier > d.window || load4(data, earlier) != four {
			i += 1 + (i-next)>>6
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
		t.addLiterals(data[next:i])
		t.addMatch(end-i, i-earlier)
		for i += 2; i < min(end, last); i += 2 {
			f.latest[f.hash(load4(data, i))] = uint16(i)
		}
		i, next = end, end
	}
	t.addLiterals(data[next:])
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
		t.addLiterals(data[next:i])
		t.addMatch(length, distance)
		end := i + length
		for i += 2; i < min(end, last+1); i++ {
			f.insert(data, i)
		}
		i, next = end, end
	}
	t.addLiterals(data[next:])
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
