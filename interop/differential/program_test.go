package differential

import (
	"encoding/binary"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// streamOf returns the frames that fuzzed bytes stand for. Most are valid, so that an invalid one
// follows valid ones.
func streamOf(role websock.Role, steps []byte) (stream []byte) {
	next := func() (b byte) {
		if len(steps) > 0 {
			b, steps = steps[0], steps[1:]
		}
		return b
	}
	opcode := websock.OpText
	for len(steps) > 0 {
		kind, size := next(), next()
		h := websock.Header{Fin: kind&0x80 == 0, Masked: role == websock.Server}
		switch kind & 0x07 {
		case 0, 1:
			h.Opcode = websock.OpContinuation
		case 2, 3:
			h.Opcode = opcode
		case 4:
			h.Opcode = websock.OpPing
		case 5:
			h.Opcode = websock.OpBinary
		case 6: // anything goes
			b := next()
			h.Opcode, h.Rsv = websock.Opcode(b&0x0f), b>>4&0x07
			h.Masked = h.Masked != (b&0x80 != 0)
		case 7:
			h.Opcode = websock.OpClose
		}
		payload := steps[:min(int(size%127), len(steps))]
		steps = steps[len(payload):]
		if h.Opcode == websock.OpClose && len(payload) > 1 && kind&0x08 == 0 { // a code that may be valid
			payload = append(binary.BigEndian.AppendUint16(nil, 1000+uint16(payload[0])*16), payload[2:]...)
		}
		h.Length = int64(len(payload))
		if size > 250 { // an invalid form, or an invalid size
			stream = append(stream, longForm(h, size)...)
		} else {
			stream = engine.AppendHeader(stream, h)
		}
		stream = append(stream, payload...) // the masking key is zero
	}
	return stream
}

// longForm returns a header with more bytes of length than it needs.
func longForm(h websock.Header, size byte) []byte {
	head := engine.AppendHeader(nil, websock.Header{Fin: h.Fin, Rsv: h.Rsv, Opcode: h.Opcode})
	var length []byte
	switch size % 3 {
	case 0:
		head[1], length = 126, binary.BigEndian.AppendUint16(nil, uint16(h.Length))
	case 1:
		head[1], length = 127, binary.BigEndian.AppendUint64(nil, uint64(h.Length))
	case 2:
		head[1], length = 127, binary.BigEndian.AppendUint64(nil, 1<<63|uint64(h.Length))
	}
	head = append(head, length...)
	if h.Masked {
		head[1] |= 0x80
		head = append(head, 0, 0, 0, 0)
	}
	return head
}
