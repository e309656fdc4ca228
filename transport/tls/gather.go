package tls

import (
	"net"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// gatherSize is how many bytes of records are given to the carrier at once, at most. It is
// the largest buffer that is lent, and more than the engine writes at once of what it
// masks.
const gatherSize = 256 << 10

// gather holds records back until flush, the whole of them or as many as are given to the
// carrier at once. size is that of their plaintext.
func (w *wire) gather(size int, whole bool) {
	const overhead = 64 // of most records; the first ones carry little more than 1 KiB each
	w.mu.Lock()
	w.gathering, w.whole = true, whole
	if w.records == nil {
		w.records = buffer.Get(min(size+size/16+overhead, gatherSize))
	}
	w.mu.Unlock()
}

// flush gives the carrier what was gathered, and returns why nothing more can be sent.
func (w *wire) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering = false
	w.send()
	return w.err
}

// finish is flush by whoever has ended our direction. What is written later, also the rest
// of what somebody gathers, is dropped.
func (w *wire) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send()
	if w.err == nil {
		w.err = net.ErrClosed
	}
}

// add gathers records. The lock is held.
func (w *wire) add(records []byte) {
	if !w.whole && w.records != nil && len(w.records.B)+len(records) > gatherSize {
		w.send()
	}
	if w.records == nil {
		w.records = buffer.Get(len(records))
	}
	w.records.Grow(len(records))
	w.records.B = append(w.records.B, records...)
}

// send gives the carrier what was gathered. The lock is held.
func (w *wire) send() {
	b := w.records
	if b == nil || w.waitsBehind() {
		return
	}
	w.records = nil
	if w.err == nil && len(b.B) > 0 {
		b.Vec[0] = b.B
		w.err = w.carrier.Writev(b.Vec[:1]...)
	}
	b.Put()
}
