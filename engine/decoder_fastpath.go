package engine

import (
	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// Most messages consist of one frame that has arrived completely. Handling them without the state of
// a Decoder is twice as fast.

// Unfragmented checks whether src begins with a complete, valid frame that is a whole message, and
// returns its opcode and the sizes of its header and payload. If not, header is 0, and NextHeader
// must be called. Otherwise AcceptUnfragmented or AcceptUnfragmentedTo must be called.
func (d *Decoder) Unfragmented(src []byte) (op Opcode, header, payload int) {
	if len(src) < 4 || !d.Idle() {
		return 0, 0, 0
	}
	if src[0] != finBit|byte(OpBinary) && src[0] != finBit|byte(OpText) {
		return 0, 0, 0
	}
	header, payload = 2, int(src[1])
	if d.role == Server {
		header, payload = header+maskingKeySize, payload^maskBit
	}
	switch {
	case payload == length16:
		header, payload = header+2, int(src[2])<<8|int(src[3])
		if payload <= maxLength7 {
			return 0, 0, 0
		}
	case payload > maxLength7: // masked by the wrong side, or longer than most views
		return 0, 0, 0
	}
	if payload > len(src)-header || int64(payload) > min(d.limits.FrameSize, d.limits.MessageSize) {
		return 0, 0, 0
	}
	op = Opcode(src[0] & opcodeBits)
	d.message = op // as NextHeader would
	return op, header, payload
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

// AcceptUnfragmentedTo is AcceptUnfragmented, but copies the payload to dst, which must have room
// for it, and doesn't change frame. For text that is not UTF-8 it may copy a part.
func (d *Decoder) AcceptUnfragmentedTo(dst []byte, op Opcode, frame []byte, header int) bool {
	if op == OpText || d.role == Server {
		return d.acceptTo(dst, op, frame, header)
	}
	copy(dst, frame[header:])
	return true
}

// maskingKey returns the masking key that ends a header.
func maskingKey(header []byte) [maskingKeySize]byte {
	return [maskingKeySize]byte(header[len(header)-maskingKeySize:])
}

// acceptInPlace is AcceptUnfragmented for payload that has to be unmasked or validated.
func (d *Decoder) acceptInPlace(op Opcode, frame []byte, header int) bool {
	payload := frame[header:]
	if d.role == Client {
		if !utf8.Valid(payload) {
			return false
		}
	} else if key := maskingKey(frame[:header]); op == OpBinary {
		mask.XOR(payload, key, 0)
	} else {
		var text utf8.Validator
		if _, ok := text.Unmask(payload, key, 0); !ok || !text.Complete() {
			mask.XOR(payload, key, 0)
			return false
		}
	}
	return true
}

// acceptTo is AcceptUnfragmentedTo for payload that has to be unmasked or validated.
func (d *Decoder) acceptTo(dst []byte, op Opcode, frame []byte, header int) bool {
	payload := frame[header:]
	dst = dst[:len(payload)]
	if d.role == Client {
		var text utf8.Validator
		if !text.Copy(dst, payload) || !text.Complete() {
			return false
		}
	} else {
		mask.Copy(dst, payload, maskingKey(frame[:header]), 0)
		if op == OpText && !utf8.Valid(dst) {
			return false
		}
	}
	return true
}
