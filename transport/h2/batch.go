package h2

import (
	"github.com/seed004e8d11/websock/internal/buffer"
)

// A batch is frames that are written together. Long payload is not copied into it.
type batch struct {
	frames *buffer.Buffer // the frames without their long payload; nil: none
	long   []longPayload  // in order
	size   int            // of all, in bytes
	last   int            // where in frames the last frame begins, if it is DATA; -1: it isn't
}

// A longPayload is payload that follows the first bytes of a batch's frames.
type longPayload struct {
	after int // so many bytes of frames
	bytes []byte
	owner *buffer.Buffer // the memory of bytes, or of earlier ones, to be given back; nil: it isn't ours
}

// room returns the frames with room for n more bytes, which the caller adds.
func (b *batch) room(n int) *buffer.Buffer {
	if b.frames == nil {
		b.frames = buffer.Get(max(n, 2<<10))
	} else {
		b.frames.Grow(n)
	}
	b.size += n
	return b.frames
}

// add adds a copy of p.
func (b *batch) add(p []byte) {
	frames := b.room(len(p))
	frames.B = append(frames.B, p...)
}

// addLong adds payload that isn't copied. owner is given back when the batch was written.
func (b *batch) addLong(p []byte, owner *buffer.Buffer) {
	after := 0
	if b.frames != nil {
		after = len(b.frames.B)
	}
	b.long = append(b.long, longPayload{after, p, owner})
	b.size += len(p)
}

// appendTo appends the parts of the batch to vec.
func (b *batch) appendTo(vec [][]byte) [][]byte {
	from := 0
	for _, l := range b.long {
		if l.after > from {
			vec = append(vec, b.frames.B[from:l.after])
			from = l.after
		}
		if len(l.bytes) > 0 {
			vec = append(vec, l.bytes)
		}
	}
	if b.frames != nil && len(b.frames.B) > from {
		vec = append(vec, b.frames.B[from:])
	}
	return vec
}

// release gives the memory of the batch back, and empties it.
func (b *batch) release() {
	if b.frames != nil {
		b.frames.Put()
	}
	for _, l := range b.long {
		if l.owner != nil {
			l.owner.Put()
		}
	}
	clear(b.long)
	*b = batch{long: b.long[:0]}
}

// moveOwned moves the memory that another batch, which isn't written, would give back to b.
func (b *batch) moveOwned(other *batch) {
	for i, l := range other.long {
		if l.owner != nil {
			b.addLong(nil, l.owner)
			other.long[i].owner = nil
		}
	}
	other.release()
}
