package buffer

// A Queue is a queue of bytes. It has a buffer only while it isn't empty. Its zero value is empty and
// ready to use. It must not be used by several goroutines at once.
type Queue struct {
	buffer *Buffer // nil if empty
	start  int     // index of the oldest byte
}

// Len returns the number of bytes queued.
func (q *Queue) Len() int {
	if q.buffer == nil {
		return 0
	}
	return len(q.buffer.B) - q.start
}

// Cap returns the size of the buffer in bytes.
func (q *Queue) Cap() int {
	if q.buffer == nil {
		return 0
	}
	return cap(q.buffer.B)
}

// Bytes returns the bytes queued, oldest first. The slice is valid until the next call of another
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

// Drop removes the n oldest bytes.
func (q *Queue) Drop(n int) {
	q.start += n
	if q.Len() == 0 {
		q.Clear()
	}
}

// Clear removes all bytes.
func (q *Queue) Clear() {
	if q.buffer != nil {
		q.buffer.Put()
		*q = Queue{}
	}
}
