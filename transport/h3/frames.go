package h3

import (
	"fmt"

	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// Types of frames (RFC 9114 section 7.2).
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameSettings = 0x4
	frameGoAway   = 0x7
	frameReserved = 0x21 // of section 7.2.8
)

// isKnown reports whether a type of frame is one that RFC 9114 gives a place, or forbids (section 7.2.8).
// Others are ignored (section 9).
func isKnown(frameType uint64) bool {
	switch frameType {
	case frameData, frameHeaders, 0x2, 0x3, frameSettings, 0x5, 0x6, frameGoAway, 0x8, 0x9, 0xd:
		return true
	}
	return false
}

// maxFrameHeader is the size of the largest header of a frame: two variable-length integers.
const maxFrameHeader = 2 * 8

// appendFrameHeader appends the header of a frame.
func appendFrameHeader(b []byte, frameType uint64, length int) []byte {
	return quicvarint.Append(quicvarint.Append(b, frameType), uint64(length))
}

// A violation is what a peer has done against RFC 9114 that ends the whole connection.
type violation struct {
	code http3.ErrCode
	rule string
}

func (v *violation) Error() string { return v.rule }

// sessionError returns the error of a connection that has ended for it.
func (v *violation) sessionError() *SessionError { return &SessionError{Code: v.code, Err: v} }

// errCutOff is the end of a stream inside a frame.
var errCutOff = &violation{http3.ErrCodeFrameError, "a stream has ended inside a frame (RFC 9114 section 7.1)"}

// A deframer takes the payloads of DATA frames out of the bytes of a stream. It holds no payload.
type deframer struct {
	left   uint64 // bytes of the present frame that are still to come
	skips  bool   // the present frame is of an unknown type
	n      uint8  // bytes of an incomplete header
	header [maxFrameHeader]byte
}

// deframe moves the payloads in p to its beginning, and returns how many bytes they have.
func (d *deframer) deframe(p []byte) (n int, bad *violation) {
	for at := 0; at < len(p); {
		if d.left == 0 {
			used, bad := d.parseHeader(p[at:])
			if bad != nil {
				return n, bad
			}
			at += used
			continue
		}
		size := int(min(d.left, uint64(len(p)-at)))
		if !d.skips {
			n += copy(p[n:], p[at:at+size])
		}
		at += size
		d.left -= uint64(size)
	}
	return n, nil
}

// parseHeader takes a header, or a part of it, from p, and returns how many bytes it has used.
func (d *deframer) parseHeader(p []byte) (used int, bad *violation) {
	before := int(d.n)
	d.n += uint8(copy(d.header[before:], p))
	frameType, n, err := quicvarint.Parse(d.header[:d.n])
	if err != nil {
		return int(d.n) - before, nil
	}
	length, m, err := quicvarint.Parse(d.header[n:d.n])
	if err != nil {
		return int(d.n) - before, nil
	}
	d.n, d.left, d.skips = 0, length, frameType != frameData
	if d.skips && isKnown(frameType) {
		return 0, &violation{http3.ErrCodeFrameUnexpected, fmt.Sprintf("frame of type %#x on the stream of a WebSocket (RFC 9114 section 4.4)", frameType)}
	}
	return n + m - before, nil
}

// isInside reports whether the end of the stream would cut off a frame.
func (d *deframer) isInside() bool { return d.left > 0 || d.n > 0 }
