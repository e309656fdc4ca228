package deflate

// A History holds the last bytes of a stream, at most a window of them. It grows with its content, so
// that a short stream takes little memory. Its zero value has a window of 0 bytes; see NewHistory.
type History struct {
	b    []byte
	next int // once b has its final size: the index of the oldest byte, which the next one replaces
	size int
}

// NewHistory returns an empty History with a window of 1<<bits bytes.
func NewHistory(bits int) History { return History{size: 1 << bits} }

// Len returns the number of bytes held.
func (h *History) Len() int { return len(h.b) }

// Reset removes all bytes and sets the window to 1<<bits bytes. It keeps its memory.
func (h *History) Reset(bits int) { *h = History{b: h.b[:0], size: 1 << bits} }

// Append appends p to the stream.
func (h *History) Append(p []byte) {
	if len(p) > h.size {
		p = p[len(p)-h.size:]
	}
	if room := h.size - len(h.b); room > 0 {
		n := min(room, len(p))
		h.reserve(n)
		h.b = append(h.b, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(h.b[h.next:], p)
		p = p[n:]
		h.next = (h.next + n) & (h.size - 1)
	}
}

// reserve makes room for n more bytes. The capacity never exceeds the window and finally equals it.
func (h *History) reserve(n int) {
	need := len(h.b) + n
	if need <= cap(h.b) {
		return
	}
	room := min(max(2*cap(h.b), need, 256), h.size)
	h.b = append(make([]byte, 0, room), h.b...)
}

// AppendTo appends all bytes to dst, the oldest first, and returns the extended slice.
func (h *History) AppendTo(dst []byte) []byte {
	dst = append(dst, h.b[h.next:]...)
	return append(dst, h.b[:h.next]...)
}

// copyTo copies up to distance bytes, from the one that is distance bytes before the end, to dst, and
// returns how many.
func (h *History) copyTo(dst []byte, distance int) int {
	from := h.next - distance
	if len(h.b) < h.size {
		from = len(h.b) - distance
	}
	if from >= 0 {
		return copy(dst[:min(distance, len(dst))], h.b[from:])
	}
	n := copy(dst, h.b[from+len(h.b):])
	return n + copy(dst[n:], h.b[:h.next])
}
