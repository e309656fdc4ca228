package handshake

import (
	"bytes"

	"github.com/seed004e8d11/websock/engine"
)

// A Result is what both sides have agreed on. Its memory is the caller's.
type Result struct {
	// Subprotocol agreed, or "" (RFC 6455 section 1.9).
	Subprotocol string

	// Compression agreed; its zero value if none was (RFC 7692 section 7.1).
	Compression engine.Compression

	// RawHeader holds the peer's header lines, each "Name: value\r\n", as they
	// came: a peer may have folded one, or ended it with a bare LF. Accept, to
	// which net/http doesn't show them, makes them anew: in alphabetical order,
	// after Host.
	RawHeader []byte

	// Early holds the bytes that came after the peer's message, the start of its
	// frames; nil if none came yet.
	Early []byte
}

// resultOf returns a Result with what a message carried beside its meaning.
func resultOf(m *message, subprotocol string, compression engine.Compression) *Result {
	result := &Result{Subprotocol: subprotocol, Compression: compression, RawHeader: bytes.Clone(m.headerLines())}
	if early := m.rest(); len(early) > 0 {
		result.Early = bytes.Clone(early)
	}
	return result
}
