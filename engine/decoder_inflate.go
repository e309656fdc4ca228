package engine

import (
	"sync"

	"github.com/seed004e8d11/websock/internal/deflate"
	"github.com/seed004e8d11/websock/mask"
)

const (
	// stagedSize is how many bytes of compressed payload are staged at once.
	stagedSize = 2 << 10

	// inflatedSize is how many bytes of a compressed message Decode returns at once.
	inflatedSize = 4 << 10

	// ratioExempt is the size up to which Limits.InflationRatio doesn't apply.
	ratioExempt = 1 << 20
)

// An inflatedMessage is the state of a message that is being inflated. It is pooled.
type inflatedMessage struct {
	inflater  deflate.Inflater
	history   deflate.History // used without takeover
	dict      *deflate.History
	size      int64 // inflated bytes so far
	deflated  int64 // compressed bytes so far
	unstaged  int64 // payload of the current frame that was not staged yet
	needsMore bool  // what is staged doesn't suffice to inflate more

	from, to int // the staged bytes that were not inflated
	staged   [stagedSize]byte

	inflated []byte // memory for Decode; nil: was not needed yet
}

var inflatedMessages = sync.Pool{New: func() any { return new(inflatedMessage) }}

// beginInflating prepares for a compressed message.
func (d *Decoder) beginInflating() {
	in := &d.deflate.in
	m := inflatedMessages.Get().(*inflatedMessage)
	in.message = m
	m.size, m.deflated, m.from, m.to = 0, 0, 0, 0
	m.dict = &in.history
	if agreed := &d.deflate.agreed; !agreed.RecvTakeover {
		m.history.Reset(agreed.RecvWindowBits)
		m.dict = &m.history
	}
	m.inflater.Reset()
	d.compressed = true
}

// beginInflatingFrame prepares for a frame of a compressed message.
func (d *Decoder) beginInflatingFrame() {
	m := d.deflate.in.message
	m.unstaged, m.needsMore = d.h.Length, true
}

// endInflating returns the inflatedMessage to the pool.
func (d *Decoder) endInflating() {
	in := &d.deflate.in
	in.message.dict = nil
	inflatedMessages.Put(in.message)
	in.message = nil
	d.compressed = false
}

// Compressed reports whether the current message is compressed, so that its payload must be given
// to Inflate.
func (d *Decoder) Compressed() bool { return d.compressed }

// CanInflate reports whether more of the current compressed frame can be inflated without more
// bytes.
func (d *Decoder) CanInflate() bool {
	return d.compressed && d.inDataFrame() && !d.deflate.in.message.needsMore
}

// Inflate inflates payload of the current frame from src to dst. It returns the part of dst that it
// wrote and how much of src it used. The frame is complete when all of it is inflated. The error is
// that of the first invalid byte, however the stream is split and whatever the size of dst.
func (d *Decoder) Inflate(dst, src []byte) (payload []byte, used int, err error) {
	m := d.deflate.in.message
	used = m.stage(d, src)
	if room := d.limits.maxInflated() - m.size; int64(len(dst)) > room {
		dst = dst[:room+1]
	}
	written, read, needsMore, invalid := m.inflater.Inflate(dst, m.staged[m.from:m.to], m.dict)
	payload = dst[:written]
	m.dict.Append(payload)
	m.from += read
	m.needsMore = needsMore
	m.size += int64(written)
	switch err := d.limits.checkInflated(m.size, m.deflated); {
	case err != nil:
		return nil, used, d.Fail(err)
	case d.message == OpText && !d.text.Write(payload):
		return nil, used, d.Fail(errNotUTF8)
	case invalid != nil:
		return nil, used, d.Fail(errNotDeflated)
	}
	return payload, used, d.countInflated(m)
}

// decodeCompressed is decodePayload for a compressed message.
func (d *Decoder) decodeCompressed(e *Event, src []byte) (n int, err error) {
	m := d.deflate.in.message
	if m.inflated == nil {
		m.inflated = make([]byte, inflatedSize)
	}
	for {
		payload, used, err := d.Inflate(m.inflated, src[n:])
		n += used
		if err != nil {
			return n, err
		}
		if len(payload) > 0 || d.h.Remaining == 0 {
			e.Kind, e.Payload = EventData, payload[:len(payload):len(payload)]
			return n, nil
		}
		if n == len(src) && !d.CanInflate() {
			return n, nil
		}
	}
}

// stage unmasks as much of src as there is room for and stores it.
func (m *inflatedMessage) stage(d *Decoder, src []byte) int {
	if m.from == m.to {
		m.from, m.to = 0, 0
	}
	n := int(min(int64(len(src)), int64(len(m.staged)-m.to), m.unstaged))
	room := m.staged[m.to : m.to+n]
	if d.h.Masked {
		d.maskPos = uint8(mask.Copy(room, src[:n], d.h.Key, int(d.maskPos)))
	} else {
		copy(room, src)
	}
	m.to += n
	m.unstaged -= int64(n)
	m.deflated += int64(n)
	return n
}

// countInflated updates what remains of the current frame.
func (d *Decoder) countInflated(m *inflatedMessage) error {
	if !m.needsMore || m.unstaged > 0 {
		d.h.Remaining = max(m.unstaged+int64(m.to-m.from), 1)
		return nil
	}
	if d.h.Fin {
		if !m.inflater.AtEnd() {
			return d.Fail(errNotDeflated)
		}
		d.endInflating()
	}
	d.h.Remaining = 0
	return d.countPayload(0, true)
}
