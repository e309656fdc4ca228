package deflate

import "encoding/binary"

const (
	// writeAhead is how far beyond its end a bitWriter may write.
	writeAhead = 8

	maxStoredHeader = 1 + 4 // bytes; the bits before are rounded up
	maxFlush        = 1 + 1 + 4
)

// A bitWriter appends bits, the lowest first, to a slice with enough capacity.
type bitWriter struct {
	b    []byte
	n    int    // whole bytes written
	bits uint64 // bits that don't fill a byte yet
	have uint
}

func newBitWriter(b []byte) bitWriter { return bitWriter{b: b[:cap(b)], n: len(b)} }

// put writes value, which has size bits, at most 48.
func (w *bitWriter) put(value uint64, size uint) {
	w.bits |= value << (w.have & 63)
	w.have += size
	binary.LittleEndian.PutUint64(w.b[w.n:], w.bits)
	w.n += int(w.have >> 3)
	w.bits >>= w.have & 56
	w.have &= 7
}

// align completes an incomplete byte.
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

// flush writes an empty stored block and returns everything written.
func (w *bitWriter) flush() []byte {
	w.store(nil)
	return w.b[:w.n]
}
