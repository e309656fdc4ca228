// Package payload makes the test messages that the program sends, and recognizes them when
// they come back.
package payload

import (
	"bytes"

	"github.com/seed004e8d11/websock"
)

// A Message is the content that all connections send. Messages differ only in the stamp at
// their beginning, which identifies the connection and the message. A stamp is text even in a
// binary message, so that one format serves both.
type Message struct {
	Opcode  websock.Opcode
	Content []byte
}

// StampSize is the size of a whole stamp. A shorter message holds its beginning.
const StampSize = 16

// New returns a message of size bytes, text or binary.
func New(text bool, size int) *Message {
	m := &Message{Opcode: websock.OpBinary, Content: make([]byte, size)}
	for i := range m.Content {
		m.Content[i] = byte(i * 167) // every byte value, in no simple order
	}
	if text {
		m.Opcode = websock.OpText
		for i := range m.Content {
			m.Content[i] = 'a' + m.Content[i]%26
		}
	}
	return m
}

const (
	connectionBits = 24
	sequenceBits   = 64 - connectionBits
)

// MaxConnections is how many connections an ID can tell apart.
const MaxConnections = 1 << connectionBits

// ID returns the number that distinguishes a connection's message from all others.
func ID(connection int, sequence int64) uint64 {
	return uint64(connection)<<sequenceBits | uint64(sequence)&(1<<sequenceBits-1)
}

// Stamp writes the last hexadecimal digits of id to the beginning of msg, as many as fit.
func Stamp(msg []byte, id uint64) {
	const digits = "0123456789abcdef"
	for i := min(len(msg), StampSize) - 1; i >= 0; i-- {
		msg[i] = digits[id&15]
		id >>= 4
	}
}

// HasStamp reports whether a received message has the size of m and the stamp of id.
func (m *Message) HasStamp(msg []byte, id uint64) bool {
	if len(msg) != len(m.Content) {
		return false
	}
	var stamp [StampSize]byte
	n := min(len(msg), StampSize)
	Stamp(stamp[:n], id)
	return bytes.Equal(msg[:n], stamp[:n])
}

// IsIntact reports whether a received message with the right stamp is otherwise as it was sent.
func (m *Message) IsIntact(op websock.Opcode, msg []byte) bool {
	n := min(len(msg), StampSize)
	return op == m.Opcode && bytes.Equal(msg[n:], m.Content[n:])
}
