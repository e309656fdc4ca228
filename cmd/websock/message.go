package main

import (
	"bytes"

	"github.com/seed004e8d11/websock/engine"
)

// A message is what connections send: all the same but for a stamp at the
// beginning, which tells connections and messages apart. It is text in any case,
// so that one kind of stamp does.
type message struct {
	op      engine.Opcode
	content []byte
}

// stampSize is the size of a whole stamp. A shorter message has what fits of it.
const stampSize = 16

func newMessage(text bool, size int) *message {
	m := &message{op: engine.OpBinary, content: make([]byte, size)}
	for i := range m.content {
		m.content[i] = byte(i * 167) // all values, in no simple order
	}
	if text {
		m.op = engine.OpText
		for i := range m.content {
			m.content[i] = 'a' + m.content[i]%26
		}
	}
	return m
}

// connectionBits is how many bits of a stamp are a connection's number.
const connectionBits = 24

// stampOf returns the number that distinguishes a connection's message from all
// others.
func stampOf(connection int, sequence int64) uint64 {
	const sequenceBits = 64 - connectionBits
	return uint64(connection)<<sequenceBits | uint64(sequence)&(1<<sequenceBits-1)
}

// stamp writes the last digits of v to the start of a message, as many as fit.
func stamp(msg []byte, v uint64) {
	const digits = "0123456789abcdef"
	for i := min(len(msg), stampSize) - 1; i >= 0; i-- {
		msg[i] = digits[v&15]
		v >>= 4
	}
}

// stamped reports whether a received message has the size and stamp of the one
// that was sent with v.
func (m *message) stamped(msg []byte, v uint64) bool {
	if len(msg) != len(m.content) {
		return false
	}
	var digits [stampSize]byte
	n := min(len(msg), stampSize)
	stamp(digits[:n], v)
	return bytes.Equal(msg[:n], digits[:n])
}

// intact reports whether a stamped message is otherwise as it was sent.
func (m *message) intact(op engine.Opcode, msg []byte) bool {
	n := min(len(msg), stampSize)
	return op == m.op && bytes.Equal(msg[n:], m.content[n:])
}
