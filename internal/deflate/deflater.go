package deflate

import "slices"

// chunkSize is how many bytes are compressed to one block. An offset in the window and a chunk fits
// in 16 bits.
const chunkSize = 32 << 10

// joinedPadding is the number of bytes that follow joined data, so that eight bytes can be read at the
// index of the last five.
const joinedPadding = 3

// Tail is the end of the empty stored block at the end of Deflate's result. A sender removes it from
// the end of a message (RFC 7692 section 7.2.1).
var Tail = []byte{0x00, 0x00, 0xff, 0xff}

// A Deflater compresses. It is large and should be pooled: it is needed only while a message is
// compressed. It doesn't retain its arguments, and allocates only in its first calls. It must not be
// used by several goroutines at once.
type Deflater struct {
	window int
	level  int
	joined []byte // the end of the history and a chunk
	finder finder
	tokens tokens
	block  block
}

// NewDeflater returns a Deflater with a window of 1<<bits bytes. Level 1 is the fastest, 9 makes the
// smallest streams.
func NewDeflater(level, bits int) *Deflater {
	d := &Deflater{window: 1 << bits, level: level}
	if level > 1 {
		d.finder.previous = make([]uint16, maxWindow+chunkSize)
	}
	return d
}

// Bound returns the capacity that Deflate needs to compress n bytes.
func Bound(n int) int {
	blocks := n/chunkSize + 2
	return n + blocks*maxStoredHeader + maxFlush + writeAhead
}

// Deflate appends src compressed to dst, followed by an empty stored block that ends with Tail, and
// returns the extended slice. The result may refer to dict. The caller appends src to dict.
func (d *Deflater) Deflate(dst, src []byte, dict *History) []byte {
	w := newBitWriter(slices.Grow(dst, Bound(len(src))))
	for at := 0; at < len(src); {
		end := min(at+chunkSize, len(src))
		data, from, padding := src[:end], at, 0
		if at > d.window {
			data, from = src[at-d.window:end], d.window
		} else if dict.Len() > 0 {
			data, from = d.join(dict, src[:end], at)
			padding = joinedPadding
		}
		d.tokens.reset()
		d.find(data, from, padding)
		d.block.write(&w, &d.tokens, data[from:])
		at = end
	}
	return w.flush()
}

// join returns the end of dict followed by src, and the index of src[at] in it.
func (d *Deflater) join(dict *History, src []byte, at int) (data []byte, from int) {
	n := min(dict.Len(), d.window-at, d.reach(len(src)))
	d.joined = slices.Grow(d.joined[:0], n)[:n]
	dict.copyTo(d.joined, n)
	from = n + at
	d.joined = append(append(d.joined, src...), make([]byte, joinedPadding)...)
	return d.joined[:len(d.joined)-joinedPadding], from
}

// reach returns how much of the history matches are looked for in if a message has n bytes. For level 1, a
// short message is not worth a long history: to remember all of that would take longer than the rest.
func (d *Deflater) reach(n int) int {
	const times, least = 8, 8 << 10
	if d.level > 1 {
		return d.window
	}
	return max(times*n, least)
}
