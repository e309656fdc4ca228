package engine

import "github.com/seed004e8d11/websock/internal/utf8"

// Most messages that a client receives consist of one frame that has arrived completely. Handling
// them without the state of a Decoder is twice as fast.

// Unfragmented checks whether src begins with a complete, valid frame that is a whole message, and
// returns its opcode and the sizes of its header and payload. If not, header is 0, and NextHeader
// must be called. Otherwise AcceptUnfragmented or AcceptUnfragmentedTo must be called.
func (d *Decoder) Unfragmented(src []byte) (op Opcode, header, payload int) {
	if len(src) < 4 || d.role != Client || !d.Idle() {
		return 0, 0, 0
	}
	if src[0] != finBit|byte(OpBinary) && src[0] != finBit|byte(OpText) {
		return 0, 0, 0
	}
	header, payload = 2, int(src[1])
	switch {
	case payload == length16:
		header, payload = 4, int(src[2])<<8|int(src[3])
		if payload <= maxLength7 {
			return 0, 0, 0
		}
	case payload > maxLength7: // masked, or longer than most views
		return 0, 0, 0
	}
	if payload > len(src)-header || int64(payload) > min(d.limits.FrameSize, d.limits.MessageSize) {
		return 0, 0, 0
	}
	return Opcode(src[0] & opcodeBits), header, payload
}

// AcceptUnfragmented accepts the message that Unfragmented found. For text that is not UTF-8 it
// returns false and changes nothing; NextHeader and UnmaskInPlace then return the error.
func (d *Decoder) AcceptUnfragmented(op Opcode, payload []byte) bool {
	if op == OpText && !utf8.Valid(payload) {
		return false
	}
	d.message = op
	return true
}

// AcceptUnfragmentedTo is AcceptUnfragmented, but copies the payload to dst, which must have room
// for it. For text that is not UTF-8 it may copy a part.
func (d *Decoder) AcceptUnfragmentedTo(dst []byte, op Opcode, payload []byte) bool {
	if op == OpText {
		return d.acceptTextTo(dst[:len(payload)], payload)
	}
	copy(dst, payload)
	d.message = op
	return true
}

func (d *Decoder) acceptTextTo(dst, payload []byte) bool {
	var text utf8.Validator
	if !text.Copy(dst, payload) || !text.Complete() {
		return false
	}
	d.message = OpText
	return true
}
