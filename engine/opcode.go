package engine

import "strconv"

// Opcode says what a frame carries (RFC 6455 section 5.2). Values that the RFC
// reserves never come out of this package: a peer that sends one breaks the
// protocol.
type Opcode int8

const (
	// OpNone is not an opcode of the RFC: it is what Recv reports while the
	// header of the next frame is still incomplete.
	OpNone Opcode = -1

	OpContinuation Opcode = 0  // a further fragment of the message begun before
	OpText         Opcode = 1  // UTF-8 text
	OpBinary       Opcode = 2  // bytes
	OpClose        Opcode = 8  // the closing handshake
	OpPing         Opcode = 9  // to be answered with a pong
	OpPong         Opcode = 10 // an answer to a ping, or a one-way heartbeat
)

// IsControl reports whether o is close, ping or pong (RFC 6455 section 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 && o != OpNone }

// IsData reports whether o is continuation, text or binary (RFC 6455 section
// 5.6).
func (o Opcode) IsData() bool { return o >= OpContinuation && o <= OpBinary }

// StartsMessage reports whether a frame of this opcode begins a message: text or binary.
func (o Opcode) StartsMessage() bool { return o == OpText || o == OpBinary }

// defined reports whether the RFC gives the opcode a meaning.
func (o Opcode) defined() bool { return o.IsData() || o >= OpClose && o <= OpPong }

// String returns the RFC's name of the opcode, in lower case.
func (o Opcode) String() string {
	switch o {
	case OpNone:
		return "none"
	case OpContinuation:
		return "continuation"
	case OpText:
		return "text"
	case OpBinary:
		return "binary"
	case OpClose:
		return "close"
	case OpPing:
		return "ping"
	case OpPong:
		return "pong"
	}
	return "opcode " + strconv.Itoa(int(o))
}
