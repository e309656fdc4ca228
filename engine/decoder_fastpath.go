package engine

import (
	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// Most messages consist of one frame that has arrived completely. Handling them without the state of
// a Decoder is twice as fast.

// Unfragmented returns the opcode and the payload of the message at the start of src, and the size
// of its frame, if src begins with a complete, valid frame that is a whole message. The payload is a
// slice of src; for a Server it was unmasked in place. Otherwise size is 0, src is unchanged, and
// NextHeader must be called.
func (d *Decoder) Unfragmented(src []byte) (op Opcode, payload []byte, size int) {
	header, size := d.unfragmentedSize(src)
	if size == 0 {
		return OpNone, nil, 0
	}
	op, payload = Opcode(src[0]&opcodeBits), src[header:size:size]
	if (op != OpBinary || d.role != Client) && !d.acceptInPlace(op, payload, src[:header]) {
		return OpNone, nil, 0
	}
	d.message = op
	return op, payload, size
}

// UnfragmentedTo is Unfragmented, but copies the payload to dst, and only if dst has room for all of
// it. It returns the opcode and the sizes of payload and frame, and doesn't change src. If the frame
// size is 0, it may have changed dst.
func (d *Decoder) UnfragmentedTo(dst, src []byte) (op Opcode, n, size int) {
	header, size := d.unfragmentedSize(src)
	n = size - header
	if size == 0 || n > len(dst) {
		return OpNone, 0, 0
	}
	op, dst = Opcode(src[0]&opcodeBits), dst[:n]
	payload := src[header:size]
	switch {
	case op == OpText && !d.acceptTextTo(dst, payload, src[:header]):
		return OpNone, 0, 0
	case op == OpBinary && d.role == Server:
		mask.Copy(dst, payload, maskingKey(src[:header]), 0)
	case op == OpBinary:
		copy(dst, payload)
	}
	d.message = op
	return op, n, size
}

// unfragmentedSize returns the sizes of the header and of the whole frame if src begins with a
// complete, valid frame of an uncompressed message that has no other frame. If not, both are 0.
func (d *Decoder) unfragmentedSize(src []byte) (header, size int) {
	if len(src) < 4 || !d.Idle() {
		return 0, 0
	}
	if src[0] != finBit|byte(OpBinary) && src[0] != finBit|byte(OpText) {
		return 0, 0
	}
	header, length := 2, src[1]
	if d.role == Server {
		header, length = header+maskingKeySize, length^maskBit
	}
	payload := int(length)
	switch {
	case length == length16:
		header, payload = header+2, int(src[2])<<8|int(src[3])
		if payload <= maxLength7 {
			return 0, 0
		}
	case length > maxLength7: // masked by the wrong side, or longer than most views
		return 0, 0
	}
	if payload > len(src)-header || int64(payload) > min(d.limits.FrameSize, d.limits.MessageSize) {
		return 0, 0
	}
	return header, header + payload
}

// maskingKey returns the masking key that ends a header.
func maskingKey(header []byte) [maskingKeySize]byte {
	return [maskingKeySize]byte(header[len(header)-maskingKeySize:])
}

// acceptInPlace unmasks the payload of a message in place, if it is masked. For text that is not
// UTF-8 it leaves it as it was and returns false: NextHeader and UnmaskInPlace then return the error.
func (d *Decoder) acceptInPlace(op Opcode, payload, header []byte) bool {
	if d.role == Client {
		return utf8.Valid(payload)
	}
	key := maskingKey(header)
	if op == OpBinary {
		mask.XOR(payload, key, 0)
		return true
	}
	var text utf8.Validator
	if _, ok := text.Unmask(payload, key, 0); ok && text.Complete() {
		return true
	}
	mask.XOR(payload, key, 0)
	return false
}

// acceptTextTo copies the text of a message to dst, unmasked. If it is not UTF-8, it returns false.
func (d *Decoder) acceptTextTo(dst, payload, header []byte) bool {
	var text utf8.Validator
	if d.role == Client {
		return text.Copy(dst, payload) && text.Complete()
	}
	mask.Copy(dst, payload, maskingKey(header), 0)
	return utf8.Valid(dst)
}
