package engine

import (
	"encoding/binary"
	"slices"
	"strconv"
)

// MaxHeaderSize is the maximum size of a frame header, in bytes: two, eight of extended length and
// four of masking key (RFC 6455 section 5.2).
const MaxHeaderSize = 14

// A Header is the header of a frame (RFC 6455 section 5.2), and how much of its payload remains.
//
// For a compressed message Length and Remaining count compressed bytes, so the inflated payload may
// be longer or shorter. When all of the payload was delivered, Remaining is 0, as for other
// messages.
type Header struct {
	Fin       bool    // final fragment of a message
	Rsv       uint8   // RSV1 is 4, RSV2 is 2, RSV3 is 1
	Opcode    Opcode  // OpNone: the header is not complete yet
	Masked    bool    // the payload is masked with Key
	Key       [4]byte // the masking key
	Length    int64   // size of the payload in bytes
	Remaining int64   // bytes not delivered yet; Fin && Remaining == 0 ends the message
}

const (
	finBit      = 0x80
	rsvShift    = 4
	rsvBits     = 0x7
	opcodeBits  = 0x0f
	maskBit     = 0x80
	lengthBits  = 0x7f
	length16    = 126 // the length is in the next two bytes
	length64    = 127 // the length is in the next eight bytes
	maxLength7  = 125
	maxLength16 = 1<<16 - 1

	maskingKeySize = 4
)

// ParseHeader parses a frame header at the start of b. n is its size in bytes; n == 0 without an
// error means that b has only a part of it. Remaining is set to Length. ParseHeader doesn't keep b
// and doesn't allocate.
//
// The error is a *ProtocolError for what is invalid in any context: a reserved opcode, a control
// frame that is fragmented or longer than 125 bytes, a length that is not minimally encoded or has
// more than 63 bits (RFC 6455 sections 5.2 and 5.5).
func ParseHeader(b []byte) (h Header, n int, err error) {
	n, err = parseHeader(&h, b)
	if n == 0 {
		return Header{Opcode: OpNone}, 0, err
	}
	return h, n, nil
}

// parseHeader is ParseHeader without the copy. It writes h only if the header is complete and
// valid.
func parseHeader(h *Header, b []byte) (n int, err error) {
	if len(b) < 2 {
		return 0, nil
	}
	b0, b1 := b[0], b[1]
	op := Opcode(b0 & opcodeBits)
	length := int64(b1 & lengthBits)
	n = 2
	switch length {
	case length16:
		if len(b) < 4 {
			return 0, checkFirstBytes(b0, b1)
		}
		length = int64(binary.BigEndian.Uint16(b[2:]))
		n = 4
	case length64:
		if len(b) < 10 {
			return 0, checkFirstBytes(b0, b1)
		}
		length = int64(binary.BigEndian.Uint64(b[2:]))
		n = 10
	}
	if n > 2 || op > OpBinary {
		if err := checkHeader(b0, b1, length); err != nil {
			return 0, err
		}
	}
	masked := b1&maskBit != 0
	if masked {
		if len(b) < n+4 {
			return 0, nil
		}
		h.Key = [4]byte(b[n : n+4])
		n += 4
	} else {
		h.Key = [4]byte{}
	}
	// Assigning a whole Header would build it twice.
	h.Fin = b0&finBit != 0
	h.Rsv = b0 >> rsvShift & rsvBits
	h.Opcode = op
	h.Masked = masked
	h.Length = length
	h.Remaining = length
	return n, nil
}

// checkFirstBytes returns the error for the first two bytes of a header, if they are invalid
// whatever follows.
func checkFirstBytes(b0, b1 byte) error {
	op := Opcode(b0 & opcodeBits)
	switch {
	case !op.defined():
		return errReservedOpcode
	case op.IsControl() && b0&finBit == 0:
		return errControlFragmented
	case op.IsControl() && b1&lengthBits > maxLength7:
		return errControlTooLong
	}
	return nil
}

func checkHeader(b0, b1 byte, length int64) error {
	if err := checkFirstBytes(b0, b1); err != nil {
		return err
	}
	switch b1 & lengthBits {
	case length16:
		if length <= maxLength7 {
			return errLengthNotMinimal
		}
	case length64:
		if length < 0 {
			return errLengthOverflow
		}
		if length <= maxLength16 {
			return errLengthNotMinimal
		}
	}
	return nil
}

// AppendHeader appends the encoded header to dst and returns the extended slice. Length is encoded
// minimally; Remaining isn't used. AppendHeader checks nothing: a Header that violates RFC 6455
// section 5.2 yields an invalid frame.
func AppendHeader(dst []byte, h Header) []byte { return appendHeader(dst, &h) }

// appendHeader is AppendHeader without the copy.
func appendHeader(dst []byte, h *Header) []byte {
	at, size := len(dst), headerSize(h.Length, h.Masked)
	dst = slices.Grow(dst, size)[:at+size]
	header := dst[at:]
	header[0] = firstByte(h.Opcode, h.Fin, h.Rsv)
	if h.Masked {
		putLength(header, h.Length, maskBit)
		*(*[4]byte)(header[size-len(h.Key):]) = h.Key
	} else {
		putLength(header, h.Length, 0)
	}
	return dst
}

// firstByte returns the first byte of a header.
func firstByte(op Opcode, fin bool, rsv uint8) byte {
	b := byte(op)&opcodeBits | rsv&rsvBits<<rsvShift
	if fin {
		b |= finBit
	}
	return b
}

// putLength writes the payload length to a header, from its second byte on.
func putLength(header []byte, length int64, mask byte) {
	switch {
	case length <= maxLength7:
		header[1] = mask | byte(length)
	case length <= maxLength16:
		header[1] = mask | length16
		binary.BigEndian.PutUint16(header[2:], uint16(length))
	default:
		header[1] = mask | length64
		binary.BigEndian.PutUint64(header[2:], uint64(length))
	}
}

// headerSize returns the size in bytes of the header of a frame with a payload of that length.
func headerSize(length int64, masked bool) int {
	size := 2
	switch {
	case length > maxLength16:
		size = 10
	case length > maxLength7:
		size = 4
	}
	if masked {
		size += 4
	}
	return size
}

// An Opcode is the type of a frame (RFC 6455 section 5.2). Reserved opcodes are never returned by
// this package: a peer that sends one violates the protocol.
type Opcode int8

const (
	// OpNone is not an opcode of the RFC. Recv returns it while the header of the next frame is
	// incomplete.
	OpNone Opcode = -1

	OpContinuation Opcode = 0  // another fragment of a message
	OpText         Opcode = 1  // UTF-8 text
	OpBinary       Opcode = 2  // bytes
	OpClose        Opcode = 8  // closing handshake
	OpPing         Opcode = 9  // must be answered with a pong
	OpPong         Opcode = 10 // answer to a ping, or unsolicited heartbeat
)

// IsControl reports whether o is close, ping or pong (RFC 6455 section 5.5).
func (o Opcode) IsControl() bool { return o&0x8 != 0 && o != OpNone }

// IsData reports whether o is continuation, text or binary (RFC 6455 section
// 5.6).
func (o Opcode) IsData() bool { return o >= OpContinuation && o <= OpBinary }

// StartsMessage reports whether frames with opcode o start a message: text or binary.
func (o Opcode) StartsMessage() bool { return o == OpText || o == OpBinary }

// defined reports whether the RFC defines o.
func (o Opcode) defined() bool { return o.IsData() || o >= OpClose && o <= OpPong }

// String returns the RFC's name of o in lower case.
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

// A Role is a side of a connection (RFC 6455 section 1.2). It decides which direction is masked
// (section 5.1).
type Role uint8

const (
	Client Role = iota // sends masked frames and rejects masked ones
	Server             // sends unmasked frames and rejects unmasked ones
)

// String returns "client" or "server".
func (r Role) String() string {
	if r == Server {
		return "server"
	}
	return "client"
}
