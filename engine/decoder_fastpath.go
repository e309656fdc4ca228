package engine

import (
	"math"

	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// Most messages consist of one frame that has arrived completely. Handling them without the state of
// a Decoder is twice as fast.

// Unfragmented checks whether src begins with a complete, valid frame that is a whole message, and
// returns its opcode and the sizes of its header and payload. If not, header is 0, and NextHeader
// must be called. Otherwise AcceptUnfragmented must be called.
func (d *Decoder) Unfragmented(src []byte) (op Opcode, header, payload int) {
	if !d.beginsMessage(src) {
		return 0, 0, 0
	}
	header, payload = d.unfragmentedSize(src)
	if payload > len(src)-header || int64(payload) > min(d.limits.FrameSize, d.limits.MessageSize) {
		return 0, 0, 0
	}
	d.message = Opcode(src[0] & opcodeBits) // as NextHeader would
	return d.message, header, payload
}

// beginsMessage reports whether src begins with the header of an unfragmented message, in a place where
// that is allowed.
func (d *Decoder) beginsMessage(src []byte) bool {
	return len(src) >= 4 && d.state == 0 && (src[0] == finBit|byte(OpBinary) || src[0] == finBit|byte(OpText))
}

// unfragmentedSize returns the sizes of the header and the payload of an unfragmented message. What is
// invalid, or longer than most views, has a payload that is larger than any view.
func (d *Decoder) unfragmentedSize(src []byte) (header, payload int) {
	header, payload = 2+int(d.role)*maskingKeySize, int(src[1])^int(d.role)<<7
	if payload <= maxLength7 {
		return header, payload
	}
	n := int(src[2])<<8 | int(src[3])
	if payload != length16 || n <= maxLength7 {
		n = math.MaxInt
	}
	return header + 2, n
}

// AcceptUnfragmented accepts the message that Unfragmented found in frame. A Server's payload is
// unmasked in place. For text that is not UTF-8 it returns false and changes nothing; NextHeader and
// UnmaskInPlace then return the error.
func (d *Decoder) AcceptUnfragmented(op Opcode, frame []byte, header int) bool {
	if op == OpText || d.role == Server {
		return d.acceptInPlace(op, frame, header)
	}
	return true
}

// ReceiveUnfragmented is Unfragmented and AcceptUnfragmented in one, if dst has room for the payload,
// which it copies to dst: src is not changed. It writes the header to h, which must be zero, and returns
// the size of the frame, or 0: then NextHeader must be called, and a part of the payload may have been
// copied.
func (d *Decoder) ReceiveUnfragmented(h *Header, dst, src []byte) (size int) {
	if !d.beginsMessage(src) {
		return 0
	}
	header, n := d.unfragmentedSize(src)
	if n > len(dst) || n > len(src)-header || int64(n) > min(d.limits.FrameSize, d.limits.MessageSize) {
		return 0
	}
	d.message = Opcode(src[0] & opcodeBits) // as NextHeader would
	if frame := src[:header+n]; d.message == OpText || d.role == Server {
		if !d.acceptTo(dst, d.message, frame, header) {
			return 0
		}
		if d.role == Server {
			h.Masked, h.Key = true, maskingKey(frame[:header])
		}
	} else {
		copy(dst, frame[header:])
	}
	h.Fin, h.Opcode, h.Length = true, d.message, int64(n)
	return header + n
}

// maskingKey returns the masking key that ends a header.
func maskingKey(header []byte) [maskingKeySize]byte {
	return [maskingKeySize]byte(header[len(header)-maskingKeySize:])
}

// acceptInPlace is AcceptUnfragmented for payload that has to be unmasked or validated.
func (d *Decoder) acceptInPlace(op Opcode, frame []byte, header int) bool {
	payload := frame[header:]
	if d.role == Client {
		return utf8.Valid(payload)
	}
	key := maskingKey(frame[:header])
	if op == OpBinary {
		mask.XOR(payload, key, 0)
	} else if !utf8.UnmaskWhole(payload, payload, key) {
		mask.XOR(payload, key, 0)
		return false
	}
	return true
}

// acceptTo copies payload that has to be unmasked or validated.
func (d *Decoder) acceptTo(dst []byte, op Opcode, frame []byte, header int) bool {
	payload := frame[header:]
	var key [maskingKeySize]byte // a copy is masked with 0
	if d.role == Server {
		key = maskingKey(frame[:header])
	}
	if op == OpText {
		return utf8.UnmaskWhole(dst, payload, key)
	}
	mask.Copy(dst, payload, key, 0)
	return true
}
