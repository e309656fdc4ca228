package deflate

import "encoding/binary"

const (
	// writeAhead is how far beyond its end a bitWriter may write.
	writeAhead = 8

	maxStoredHeader = 1 + 4 // bytes; the bits before are rounded up
	maxFlush        = 1 + 1 + 4
)

// A bitWriter appends bits, the lowest first, to bytes that have room for them.
type bitWriter struct {
	b    []byte
	n    int    // bytes written; those beyond may have bits already
	bits uint64 // fewer than 8 that aren't
	have uint
}

func newBitWriter(b []byte) bitWriter { return bitWriter{b: b[:cap(b)], n: len(b)} }

// put writes the lowest size bits of value, which has no others; at most 48.
func (w *bitWriter) put(value uint64, size uint) {
	w.bits |= value << (w.have & 63)
	w.have += size
	binary.LittleEndian.PutUint64(w.b[w.n:], w.bits)
	w.n += int(w.have >> 3)
	w.bits >>= w.have & 56
	w.have &= 7
}

// align ends a byte that was begun.
func (w *bitWriter) align() {
	if w.have > 0 {
		w.put(0, 8-w.have)
	}
}

// store writes a stored block.
func (w *bitWriter) store(data []byte) {
	w.put(blockStored, 3)
	w.align()
	w.put(uint64(len(data)), 16)
	w.put(uint64(len(data))^0xffff, 16)
	w.n += copy(w.b[w.n:], data)
}

// flush ends the stream for now with an empty stored block and returns all of it.
func (w *bitWriter) flush() []byte {
	w.store(nil)
	return w.b[:w.n]
}
