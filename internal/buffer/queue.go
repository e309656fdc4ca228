package buffer

// A Queue is a queue of bytes in a buffer that is borrowed while there are some. Its zero value is
// empty and ready to use. It isn't safe for concurrent use.
type Queue struct {
	buffer *Buffer // nil: none
	start  int     // of what has not been dropped
}

// Len returns how many bytes are queued.
func (q *Queue) Len() int {
	if q.buffer == nil {
		return 0
	}
	return len(q.buffer.B) - q.start
}

// Cap returns how much memory is borrowed.
func (q *Queue) Cap() int {
	if q.buffer == nil {
		return 0
	}
	return cap(q.buffer.B)
}

// Bytes returns what is queued, oldest first. The slice is valid until the next call of another
// method.
func (q *Queue) Bytes() []byte {
	if q.buffer == nil {
		return nil
	}
	return q.buffer.B[q.start:]
}

// Append queues a copy of p.
func (q *Queue) Append(p []byte) {
	if len(p) == 0 {
		return
	}
	if q.buffer == nil {
		q.buffer = Get(len(p))
	}
	if b := q.buffer; q.start > len(b.B)/2 {
		b.B = b.B[:copy(b.B, b.B[q.start:])]
		q.start = 0
	}
	q.buffer.Grow(len(p))
	q.buffer.B = append(q.buffer.B, p...)
}

// Drop removes the n oldest bytes, and with the last one gives the memory back.
func (q *Queue) Drop(n int) {
	q.start += n
	if q.Len() == 0 {
		q.Clear()
	}
}

// Clear removes all bytes and gives the memory back.
func (q *Queue) Clear() {
	if q.buffer != nil {
		q.buffer.Put()
		*q = Queue{}
	}
}
