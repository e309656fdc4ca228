package main

import (
	"testing"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/engine"
)

func TestStampsTellMessagesApart(t *testing.T) {
	for _, size := range []int{1, 7, stampSize, 100} {
		m := newMessage(false, size)
		msg := append([]byte(nil), m.content...)
		for sequence := range int64(16) {
			stamp(msg, stampOf(3, sequence))
			for other := range int64(16) {
				if m.stamped(msg, stampOf(3, other)) != (other == sequence) {
					t.Fatalf("%d bytes: %q looks like %d", size, msg, other)
				}
			}
			if !m.intact(engine.OpBinary, msg) {
				t.Fatalf("%d bytes: %q has changed", size, msg)
			}
		}
	}
	m := newMessage(false, stampSize)
	stamp(m.content, stampOf(3, 5))
	if m.stamped(m.content, stampOf(4, 5)) {
		t.Error("connections look alike")
	}
}

func TestTextMessagesAreUTF8(t *testing.T) {
	m := newMessage(true, 1000)
	stamp(m.content, 1<<63)
	if m.op != engine.OpText || !utf8.Valid(m.content) {
		t.Errorf("%v %q", m.op, m.content)
	}
}

func TestMessageInOneBitDifferent(t *testing.T) {
	m := newMessage(false, 64)
	for i := stampSize; i < 64; i++ {
		msg := append([]byte(nil), m.content...)
		msg[i] ^= 1
		if m.intact(engine.OpBinary, msg) {
			t.Errorf("a change at %d is not seen", i)
		}
	}
}
