package payload

import (
	"math"
	"testing"
	"time"
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

func TestAStampSaysWhenAMessageWasSent(t *testing.T) {
	at := time.Unix(0, math.MaxInt64)
	for _, at := range []time.Time{at, time.Unix(0, 0), time.Unix(1_764_222_711, 123_456_789)} {
		msg := New(true, 100).Content
		StampTime(msg, 42, at)
		if got, ok := SentAt(msg); !ok || !got.Equal(at) || string(msg[:StampSize]) != "000000000000002a" {
			t.Errorf("%v, %v in %q", got, ok, msg)
		}
	}
	short := make([]byte, timedSize-1)
	if StampTime(short, 42, at); string(short[:StampSize]) != "000000000000002a" || short[StampSize] != 0 {
		t.Errorf("%q", short)
	}
}

func TestAMessageWithoutATime(t *testing.T) {
	for _, msg := range []string{
		"", "hello", "000000000000002a", "000000000000002a@176422271112345678", "000000000000002a 1764222711123456789",
		"000000000000002a@176422271112345678x", "welcome to a feed@1764222711123456789", "000000000000002a@9999999999999999999",
		"000000000000002a@-764222711123456789",
	} {
		if at, ok := SentAt([]byte(msg)); ok {
			t.Errorf("%q was sent at %v", msg, at)
		}
	}
}
