package engine

import "github.com/seed004e8d11/websock/internal/utf8"

// Most of what a client receives are messages that come in one frame, all of whose bytes are
// there at once. For them nothing has to be remembered from one step to the next, and what
// isn't remembered needn't be looked up again: that makes them twice as fast.

// whole looks whether src begins with a frame that is a whole message, with nothing missing
// and nothing to object to, and returns the sizes of its header and payload. A header of 0
// bytes means that it is anything else, which begin takes.
func (d *Decoder) whole(src []byte) (header, payload int) {
	if len(src) < 4 || d.role != Client || !d.idle() {
		return 0, 0
	}
	if src[0] != finBit|byte(OpBinary) && src[0] != finBit|byte(OpText) {
		return 0, 0
	}
	header, payload = 2, int(src[1])
	switch {
	case payload == length16:
		header, payload = 4, int(src[2])<<8|int(src[3])
		if payload <= maxLength7 {
			return 0, 0
		}
	case payload > maxLength7: // masked, or longer than a view usually is
		return 0, 0
	}
	if payload > len(src)-header || int64(payload) > min(d.terms.FrameSize, d.terms.MessageSize) {
		return 0, 0
	}
	return header, payload
}

// wholeHeader is that of a whole message.
func wholeHeader(op Opcode, payload int) Header {
	return Header{Fin: true, Opcode: op, Length: int64(payload)}
}

// takeWhole is take for a whole message: if it is no good text, take will say so.
func (d *Decoder) takeWhole(op Opcode, payload []byte) bool {
	if op == OpText && !utf8.Valid(payload) {
		return false
	}
	d.message = op
	return true
}

// copyText copies all of src, if that is text, and else perhaps a part.
func copyText(dst, src []byte) bool {
	text := utf8.Validator{}
	return text.Copy(dst, src) && text.Complete()
}

// recvWhole receives a whole message into buf, if the view begins with one for which buf has
// room, and returns its size; -1 if not.
func (c *Conn) recvWhole(h *Header, buf []byte) int {
	r := c.receive.receiving
	if r == nil || c.receive.handler != nil || c.receive.stop.Load()&(stopAbort|stopPull) != 0 {
		return -1
	}
	view := r.view
	header, n := r.dec.whole(view)
	if header == 0 || n > len(buf) {
		return -1
	}
	op := Opcode(view[0] & opcodeBits)
	payload := view[header : header+n]
	if op == OpBinary {
		copy(buf, payload)
	} else if !copyText(buf[:n], payload) {
		return -1 // move will say what is wrong
	}
	r.dec.message = op
	r.counts.countWhole(n)
	if header+n < len(view) {
		r.view = view[header+n:]
	} else {
		c.used(header + n)
	}
	c.answer()
	h.Fin, h.Opcode, h.Length = true, op, int64(n)
	return n
}

// handOverWhole gives the Handler a whole message, if the view begins with one.
func (c *Conn) handOverWhole() bool {
	r := &c.receive
	header, n := r.dec.whole(r.view)
	if header == 0 {
		return false
	}
	op := Opcode(r.view[0] & opcodeBits)
	payload := r.view[header : header+n : header+n]
	if !r.dec.takeWhole(op, payload) {
		return false
	}
	r.counts.countWhole(n)
	r.handler.OnData(c, wholeHeader(op, n), payload)
	c.used(header + n)
	return true
}

func (r *recentCounts) countWhole(n int) {
	r.messages++
	r.frames++
	r.payload += uint64(n)
}
