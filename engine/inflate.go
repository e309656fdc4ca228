package engine

import (
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/deflate"
	"github.com/seed004e8d11/websock/mask"
)

const (
	// stagedSize is how much of a compressed payload is taken from the transport's view at
	// once.
	stagedSize = 2 << 10

	// inflatedSize is how much a Handler gets at once of a compressed message.
	inflatedSize = 16 << 10

	// freelyInflated is how much a message may inflate to whatever the ratio.
	freelyInflated = 1 << 20
)

// inflating is what inflating remembers between messages. It belongs to the goroutine that
// receives.
type inflating struct {
	history deflate.History // with takeover
	work    *inflation      // of the message under way; nil: none

	before, after uint64 // for Stats, under the lock of sending
}

// An inflation is what inflating a message needs, while one is under way. It is lent.
type inflation struct {
	inflater deflate.Inflater
	history  deflate.History // without takeover
	before   *deflate.History
	size     int64 // bytes inflated
	deflated int64 // from so many
	coming   int64 // payload of the frame under way that wasn't staged yet
	hungry   bool  // nothing more can be inflated of what was staged

	from, to int // of what is staged
	staged   [stagedSize]byte
}

var inflations = sync.Pool{New: func() any { return new(inflation) }}

// beginInflating prepares for a compressed message.
func (d *Decoder) beginInflating() {
	in := &d.terms.compression.in
	z := inflations.Get().(*inflation)
	in.work = z
	z.size, z.deflated, z.from, z.to = 0, 0, 0, 0
	z.before = &in.history
	if agreed := &d.terms.compression.agreed; !agreed.RecvTakeover {
		z.history.Reset(agreed.RecvWindowBits)
		z.before = &z.history
	}
	z.inflater.Reset()
	d.compressed = true
}

// beginInflatingFrame prepares for a frame of that message.
func (d *Decoder) beginInflatingFrame() {
	z := d.terms.compression.in.work
	z.coming, z.hungry = d.h.Length, true
}

// endInflating leaves what inflating needs to others.
func (d *Decoder) endInflating() {
	in := &d.terms.compression.in
	in.work.before = nil
	inflations.Put(in.work)
	in.work = nil
	d.compressed = false
}

// inflatable reports whether more of the compressed frame under way can be inflated without
// more being received.
func (d *Decoder) inflatable() bool {
	return d.compressed && d.open && d.h.Opcode.IsData() && !d.terms.compression.in.work.hungry
}

// inflate inflates from src, payload of the open frame, to dst. It returns how much of
// either it handled. The frame has nothing remaining once all of it is inflated. What is
// wrong first is told, however the stream is cut and whatever room there is.
func (d *Decoder) inflate(dst, src []byte) (payload []byte, used int, err error) {
	z := d.terms.compression.in.work
	used = z.stage(d, src)
	if room := d.terms.inflatedMost() - z.size; int64(len(dst)) > room {
		dst = dst[:room+1]
	}
	written, read, hungry, broken := z.inflater.Inflate(dst, z.staged[z.from:z.to], z.before)
	payload = dst[:written]
	z.before.Append(payload)
	z.from += read
	z.hungry = hungry
	z.size += int64(written)
	switch err := d.terms.checkInflated(z); {
	case err != nil:
		return nil, used, d.fail(err)
	case d.message == OpText && !d.text.Write(payload):
		return nil, used, d.fail(errNotUTF8)
	case broken != nil:
		return nil, used, d.fail(errNotDeflated)
	}
	return payload, used, d.countInflated(z)
}

// stage takes what there is room for of src, and unmasks it.
func (z *inflation) stage(d *Decoder, src []byte) int {
	if z.from == z.to {
		z.from, z.to = 0, 0
	}
	n := int(min(int64(len(src)), int64(len(z.staged)-z.to), z.coming))
	room := z.staged[z.to : z.to+n]
	if d.h.Masked {
		d.pos = uint8(mask.Copy(room, src[:n], d.h.Key, int(d.pos)))
	} else {
		copy(room, src)
	}
	z.to += n
	z.coming -= int64(n)
	z.deflated += int64(n)
	return n
}

// payloadMost is how much payload a message may have as it comes. A compressed one may be
// larger than what it inflates to, by what blocks and flushes take where nothing can be
// compressed, but not endless.
func (t *terms) payloadMost(compressed bool) int64 {
	most := t.MessageSize
	if !compressed {
		return most
	}
	return most + min(most>>6+64<<10, unlimited-most)
}

// inflatedMost is how much a message may inflate to.
func (t *terms) inflatedMost() int64 { return min(t.MessageSize, t.InflatedSize) }

// checkInflated holds the message to its limits.
func (t *terms) checkInflated(z *inflation) error {
	switch {
	case z.size > t.MessageSize:
		return &LimitError{"MessageSize", t.MessageSize, CloseMessageTooBig}
	case z.size > t.InflatedSize:
		return &LimitError{"InflatedSize", t.InflatedSize, CloseMessageTooBig}
	case z.size > freelyInflated && z.size/int64(t.InflationRatio) > z.deflated:
		return &LimitError{"InflationRatio", int64(t.InflationRatio), CloseMessageTooBig}
	}
	return nil
}

// countInflated accounts for what was inflated of the open frame.
func (d *Decoder) countInflated(z *inflation) error {
	if !z.hungry || z.coming > 0 {
		d.h.Remaining = max(z.coming+int64(z.to-z.from), 1)
		return nil
	}
	if d.h.Fin {
		if !z.inflater.AtEnd() {
			return d.fail(errNotDeflated)
		}
		d.endInflating()
	}
	d.h.Remaining = 0
	return d.count(0, true)
}

// recvInflated is recv for the open frame of a compressed message.
func (c *Conn) recvInflated(h *Header, buf []byte) (int, error) {
	r := &c.receive
	payload, used, err := r.dec.inflate(buf, r.view)
	c.used(used)
	if err != nil {
		h.Opcode = OpNone
		return 0, c.fail(err)
	}
	r.counts.count(&r.dec.h, len(payload))
	r.counts.countInflated(used, len(payload))
	c.answer()
	*h = r.dec.h
	return len(payload), nil
}

// handOverInflated gives the Handler what can be inflated of the open frame.
func (c *Conn) handOverInflated() error {
	r := &c.receive
	d := &r.dec
	room := buffer.Get(inflatedSize)
	defer room.Put()
	for {
		payload, used, err := d.inflate(room.B[:inflatedSize], r.view)
		c.used(used)
		if err != nil {
			return c.fail(err)
		}
		r.counts.count(&d.h, len(payload))
		r.counts.countInflated(used, len(payload))
		r.turn -= 1 + len(payload)/inflatedWork
		if len(payload) > 0 || d.h.Remaining == 0 {
			r.handler.OnData(c, d.h, payload[:len(payload):len(payload)])
		}
		if r.turn <= 0 || r.stop.Load() != 0 || !d.open || len(r.view) == 0 && !d.inflatable() {
			return nil
		}
	}
}
