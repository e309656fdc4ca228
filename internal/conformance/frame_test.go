package conformance

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/seed004e8d11/websock"
)

// A frame is what one side sends, valid or invalid. It is encoded and decoded here, byte by byte,
// not by the code under test.
type frame struct {
	op      websock.Opcode
	more    bool // not the final fragment
	rsv     byte
	payload string

	lengthBytes int    // bytes of extended length; 0: as few as possible
	declared    uint64 // the length in the header if it isn't the payload's
	wrongMask   bool   // masked by a server, or not masked by a client

	// broken says where the frame breaks the rules: nowhere (0), in the header, or at that byte
	// of the payload, counted from 1.
	broken int

	answer *frame // what the other side sends because of this frame; nil: nothing
	code   bool   // of this answer only the close code is compared
}

const header = -1 // for broken

func text(payload string) frame      { return frame{op: websock.OpText, payload: payload} }
func binaryOf(p string) frame        { return frame{op: websock.OpBinary, payload: p} }
func cont(payload string) frame      { return frame{op: websock.OpContinuation, payload: payload} }
func ping(payload string) frame      { return frame{op: websock.OpPing, payload: payload} }
func pong(payload string) frame      { return frame{op: websock.OpPong, payload: payload} }
func closing(p string) frame         { return frame{op: websock.OpClose, payload: p} }
func opcode(op int) frame            { return frame{op: websock.Opcode(op)} }
func (f frame) begun() frame         { f.more = true; return f }
func (f frame) with(p string) frame  { f.payload = p; return f }
func (f frame) rsvBits(b byte) frame { f.rsv = b; return f }

// status returns the payload of a close frame.
func status(code websock.CloseCode, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason
}

// gets sets the answer to the frame.
func (f frame) gets(answer frame) frame {
	f.answer = &answer
	return f
}

// echoed makes an equal frame the answer.
func (f frame) echoed() frame { return f.gets(frame{op: f.op, payload: f.payload}) }

// fails makes the frame end the connection with that close code, once its header has arrived.
func (f frame) fails(code websock.CloseCode) frame { return f.failsAt(header, code) }

// failsAt makes the frame end the connection once that byte of its payload has arrived.
func (f frame) failsAt(broken int, code websock.CloseCode) frame {
	f.broken = broken
	return f.gets(frame{op: websock.OpClose, payload: status(code, ""), code: true})
}

// keys are masking keys, used in turn. RFC 6455 section 5.3 allows any.
var keys = [][4]byte{{0x37, 0xfa, 0x21, 0x3d}, {0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {1, 0, 0x80, 0x7f}}

// headerSize returns the size of the frame's header in bytes.
func (f frame) headerSize(masked bool) int {
	size := 2 + f.extended()
	if masked {
		size += 4
	}
	return size
}

func (f frame) length() uint64 {
	if f.declared != 0 {
		return f.declared
	}
	return uint64(len(f.payload))
}

func (f frame) extended() int {
	switch {
	case f.lengthBytes != 0:
		return f.lengthBytes
	case f.length() < 126:
		return 0
	case f.length() < 1<<16:
		return 2
	}
	return 8
}

// appendTo appends the frame in wire form. i, its number, selects the masking key.
func (f frame) appendTo(b []byte, masked bool, i int) []byte {
	first := byte(f.op) | f.rsv<<4
	if !f.more {
		first |= 0x80
	}
	var second byte
	if masked {
		second = 0x80
	}
	switch f.extended() {
	case 0:
		b = append(b, first, second|byte(f.length()))
	case 2:
		b = binary.BigEndian.AppendUint16(append(b, first, second|126), uint16(f.length()))
	case 8:
		b = binary.BigEndian.AppendUint64(append(b, first, second|127), f.length())
	}
	if !masked {
		return append(b, f.payload...)
	}
	key := keys[i%len(keys)]
	b = append(b, key[:]...)
	start := len(b)
	b = append(b, f.payload...)
	unmask(b[start:], key)
	return b
}

// unmask masks and unmasks (RFC 6455 section 5.3).
func unmask(b []byte, key [4]byte) {
	for i := range b {
		b[i] ^= key[i%4]
	}
}

// readFrame reads a frame that an endpoint of role sends. An invalid frame is an error.
func readFrame(r io.Reader, role websock.Role) (f frame, err error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	f = frame{op: websock.Opcode(head[0] & 0x0f), more: head[0]&0x80 == 0, rsv: head[0] >> 4 & 7}
	masked := head[1]&0x80 != 0
	if masked != (role == websock.Client) {
		return f, fmt.Errorf("masked: %v", masked)
	}
	size := uint64(head[1] & 0x7f)
	var extended [8]byte
	switch size {
	case 126:
		_, err = io.ReadFull(r, extended[6:])
		f.lengthBytes = 2
	case 127:
		_, err = io.ReadFull(r, extended[:])
		f.lengthBytes = 8
	}
	if f.lengthBytes != 0 {
		size = binary.BigEndian.Uint64(extended[:])
	}
	var key [4]byte
	if masked && err == nil {
		_, err = io.ReadFull(r, key[:])
	}
	if size > 1<<30 {
		return f, fmt.Errorf("a frame of %d bytes", size)
	}
	payload := make([]byte, size)
	if err == nil {
		_, err = io.ReadFull(r, payload)
	}
	if err != nil {
		return f, fmt.Errorf("within a frame: %w", err)
	}
	if masked {
		unmask(payload, key)
	}
	f.payload = string(payload)
	if shortest := (frame{payload: f.payload}).extended(); shortest != f.lengthBytes {
		return f, fmt.Errorf("%d bytes of extended length for %d", f.lengthBytes, size)
	}
	f.lengthBytes = 0
	return f, nil
}

// is returns an error unless the frame is the one that was expected.
func (f frame) is(want frame) error {
	payload := f.payload
	if want.code {
		payload = payload[:min(len(payload), 2)]
	}
	if f.op != want.op || f.more != want.more || f.rsv != want.rsv || payload != want.payload {
		return fmt.Errorf("got %v, want %v", f, want)
	}
	return nil
}

func (f frame) String() string {
	name := f.op.String()
	if f.more {
		name += "+"
	}
	if f.rsv != 0 {
		name += fmt.Sprintf(" rsv %d", f.rsv)
	}
	if len(f.payload) > 200 {
		return fmt.Sprintf("%s %q... (%d bytes)", name, f.payload[:50], len(f.payload))
	}
	return fmt.Sprintf("%s %q", name, f.payload)
}
