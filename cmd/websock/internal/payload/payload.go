// Package payload makes the test messages that the program sends, and recognizes them when
// they come back.
package payload

import (
	"bytes"
	"strconv"
	"time"

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

// timedSize is the size of a stamp with a time: that of a stamp, a separator and the time.
const (
	timedSize  = StampSize + 1 + timeDigits
	separator  = '@'
	timeDigits = 19 // of nanoseconds since 1970, which fit in an int64 until 2262
)

// StampTime stamps a message with an ID and the time at which it is sent, in nanoseconds since 1970, like
// this: 000000000000002a@1764222711123456789. A message that is too short for that has no time.
func StampTime(msg []byte, id uint64, at time.Time) {
	Stamp(msg, id)
	if len(msg) < timedSize {
		return
	}
	msg[StampSize] = separator
	for i, ns := timedSize-1, at.UnixNano(); i > StampSize; i-- {
		msg[i] = byte('0' + ns%10)
		ns /= 10
	}
}

// SentAt returns the time in the stamp of a message. It returns false if there is none.
func SentAt(msg []byte) (at time.Time, ok bool) {
	if len(msg) < timedSize || msg[StampSize] != separator {
		return at, false
	}
	for _, c := range msg[:StampSize] {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return at, false
		}
	}
	ns, err := strconv.ParseUint(string(msg[StampSize+1:timedSize]), 10, 63)
	return time.Unix(0, int64(ns)), err == nil
}
