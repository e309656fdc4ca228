package payload

import (
	"testing"
	"unicode/utf8"

	"github.com/seed004e8d11/websock"
)

func TestStampsDistinguishMessages(t *testing.T) {
	for _, size := range []int{1, 7, StampSize, 100} {
		m := New(false, size)
		msg := append([]byte(nil), m.Content...)
		for sequence := range int64(16) {
			Stamp(msg, ID(3, sequence))
			for other := range int64(16) {
				if m.HasStamp(msg, ID(3, other)) != (other == sequence) {
					t.Fatalf("%d bytes: %q looks like %d", size, msg, other)
				}
			}
			if !m.IsIntact(websock.OpBinary, msg) {
				t.Fatalf("%d bytes: %q has changed", size, msg)
			}
		}
	}
	m := New(false, StampSize)
	Stamp(m.Content, ID(3, 5))
	if m.HasStamp(m.Content, ID(4, 5)) {
		t.Error("connections look alike")
	}
}

func TestTextMessagesAreUTF8(t *testing.T) {
	m := New(true, 1000)
	Stamp(m.Content, 1<<63)
	if m.Opcode != websock.OpText || !utf8.Valid(m.Content) {
		t.Errorf("%v %q", m.Opcode, m.Content)
	}
}

func TestOneChangedBitIsDetected(t *testing.T) {
	m := New(false, 64)
	for i := StampSize; i < 64; i++ {
		msg := append([]byte(nil), m.Content...)
		msg[i] ^= 1
		if m.IsIntact(websock.OpBinary, msg) {
			t.Errorf("a change at %d is not seen", i)
		}
	}
}
