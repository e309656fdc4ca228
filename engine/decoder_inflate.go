package engine

import (
	"sync"

	"github.com/seed004e8d11/websock/internal/deflate"
	"github.com/seed004e8d11/websock/mask"
)

const (
	// stagedSize is how much of a compressed payload is taken from the caller at once.
	stagedSize = 2 << 10

	// inflatedSize is how much of a compressed message Decode returns at once.
	inflatedSize = 4 << 10

	// freelyInflated is how much a message may inflate to whatever the ratio.
	freelyInflated = 1 << 20
)

// An inflatedMessage is what inflating a message needs while it is under way. It is pooled.
type inflatedMessage struct {
	inflater  deflate.Inflater
	history   deflate.History // without takeover
	dict      *deflate.History
	size      int64 // bytes inflated
	deflated  int64 // from so many
	unstaged  int64 // payload of the frame under way that was not staged yet
	needsMore bool  // nothing more can be inflated of what was staged

	from, to int // of what is staged
	staged   [stagedSize]byte

	inflated []byte // memory for Decode; nil: it was not needed yet
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

// beginInflatingFrame prepares for a frame of that message.
func (d *Decoder) beginInflatingFrame() {
	m := d.deflate.in.message
	m.unstaged, m.needsMore = d.h.Length, true
}

// endInflating returns the memory to the pool.
func (d *Decoder) endInflating() {
	in := &d.deflate.in
	in.message.dict = nil
	inflatedMessages.Put(in.message)
	in.message = nil
	d.compressed = false
}

// Compressed reports whether the message under way is compressed, so that its payload is for
// Inflate.
func (d *Decoder) Compressed() bool { return d.compressed }

// CanInflate reports whether more of the compressed frame under way can be inflated without
// more bytes.
func (d *Decoder) CanInflate() bool {
	return d.compressed && d.inDataFrame() && !d.deflate.in.message.needsMore
}

// Inflate inflates from src, payload of the frame under way, to dst. It returns the part of dst that
// it wrote and how much of src it used. Nothing remains of the frame once all of it is inflated. The
// first thing wrong is the error, however the stream is cut and whatever room dst has.
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

// stage takes as much of src as there is room for, and unmasks it.
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

// countInflated counts what was inflated of the frame under way.
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
