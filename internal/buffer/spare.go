package buffer

// A Spare keeps one buffer between two uses, for an owner that needs one again and again. That costs
// less than a pool. The zero value is empty. It must not be used by several goroutines at once.
type Spare struct{ buffer *Buffer }

// spareSize is the capacity of the largest buffer that a Spare keeps.
const spareSize = 16 << 10

// Get is the function Get, but takes the buffer that was kept if it is large enough.
func (s *Spare) Get(n int) *Buffer {
	b := s.buffer
	if b == nil || cap(b.B) < n {
		return Get(n)
	}
	s.buffer = nil
	b.borrowed()
	return b
}

// Put keeps b, which must not be used afterwards, or returns it to its pool.
func (s *Spare) Put(b *Buffer) {
	if s.buffer != nil || cap(b.B) > spareSize {
		b.Put()
		return
	}
	b.returned()
	s.buffer = b
}

// Drop returns the buffer that is kept to its pool.
func (s *Spare) Drop() {
	if b := s.buffer; b != nil {
		s.buffer = nil
		b.borrowed()
		b.Put()
	}
}
