package deflate

import "slices"

// chunkSize is how much is compressed at once, to one block. With the window in front, a
// place in a chunk is a number of 16 bits.
const chunkSize = 32 << 10

// Tail is how the empty stored block ends that ends what was compressed. A sender cuts it
// off the end of a message (RFC 7692 section 7.2.1).
var Tail = []byte{0x00, 0x00, 0xff, 0xff}

// A Deflater compresses. It is large, and lent while a message is compressed. It keeps
// nothing of what it is given, and allocates nothing once it has worked. One goroutine at a
// time uses it.
type Deflater struct {
	window int
	level  int
	joined []byte // the end of the history and a chunk
	finder finder
	tokens tokens
	block  block
}

// NewDeflater returns a Deflater that refers at most 1<<bits bytes back. level is 1, the
// fastest, to 9, which makes the smallest streams.
func NewDeflater(level, bits int) *Deflater {
	d := &Deflater{window: 1 << bits, level: level}
	if level > 1 {
		d.finder.before = make([]uint16, maxWindow+chunkSize)
	}
	return d
}

// Bound returns the most bytes that Deflate needs room for to compress n bytes.
func Bound(n int) int {
	blocks := n/chunkSize + 2
	return n + blocks*maxStoredHeader + maxFlush + writeAhead
}

// Deflate appends to dst what src is compressed to, ended by an empty stored block, the end
// of which is Tail, and returns the extended slice. before are the bytes that came earlier
// and may be referred to; src is for the caller to append to them.
func (d *Deflater) Deflate(dst, src []byte, before *History) []byte {
	w := newBitWriter(slices.Grow(dst, Bound(len(src))))
	for at := 0; at < len(src); {
		end := min(at+chunkSize, len(src))
		data, from := src[:end], at
		if at > d.window {
			data, from = src[at-d.window:end], d.window
		} else if before.Len() > 0 {
			data, from = d.join(before, src[:end], at)
		}
		d.tokens.reset()
		d.find(data, from)
		d.block.write(&w, &d.tokens, data[from:])
		at = end
	}
	return w.flush()
}

// join puts the end of what came before and src together. It returns that, and where in it
// the chunk begins that starts at at in src.
func (d *Deflater) join(before *History, src []byte, at int) (data []byte, from int) {
	d.joined = before.AppendTo(d.joined[:0])
	if most := d.window - at; len(d.joined) > most {
		d.joined = d.joined[len(d.joined)-most:]
	}
	from = len(d.joined) + at
	d.joined = append(d.joined, src...)
	return d.joined, from
}
