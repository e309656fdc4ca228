package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/bounds"
)

// limits are such that inputs can reach them, and memory for what is only declared shows.
var limits = websock.Limits{MessageSize: 8 << 20, FrameSize: 6 << 20, Fragments: 8, PongRate: -1}

// decoderLimits are those of them that a Decoder knows.
var decoderLimits = engine.Limits{MessageSize: limits.MessageSize, FrameSize: limits.FrameSize, Fragments: limits.Fragments}

// streams are what peers send, right and wrong, in either role.
var streams = []string{
	"\x81\x05Hello\x82\x00\x89\x02hi\x8a\x00\x88\x02\x03\xe8",
	"\x01\x02\xe2\x82\x89\x01p\x80\x01\xac\x88\x00",
	"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x89\x80abcd\x88\x82\x00\x00\x00\x00\x03\xe9",
	"\x82\x7e\x00\x80" + string(make([]byte, 128)),
	"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
	"\xc1\x00\x83\x00\x09\x00\x88\x01x\x80\x00",
	"\x81\x04\xf0\x9f\x98\x80\x81\x03\xed\xa0\x80",
	"\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
	"\x88\x05\x0f\xa0bye\x81\x01x",
	"\x88\x03\x03\xe8\xff", "\x88\x02\x03\xed", "\x88\x01\x03",
	"\x01\x01a\x81\x01b", "\x01\x01\xc3\x80\x00",
}

// found is all that a Decoder found in a stream.
type found struct {
	frames []frame
	err    error
}

// A frame is one with its payload joined.
type frame struct {
	opcode  websock.Opcode
	fin     bool
	payload string
}

func (f frame) String() string { return fmt.Sprintf("%v %v %q", f.opcode, f.fin, f.payload) }

func (f found) equal(g found) bool {
	return slices.Equal(f.frames, g.frames) && sameError(f.err, g.err)
}

func (f found) String() string { return fmt.Sprintf("%v, %v", f.frames, f.err) }

// sameError compares errors, limits and broken rules by value.
func sameError(a, b error) bool {
	var left, right *websock.ProtocolError
	if errors.As(a, &left) && errors.As(b, &right) {
		return *left == *right
	}
	var x, y *websock.LimitError
	if errors.As(a, &x) && errors.As(b, &y) {
		return *x == *y
	}
	return a == b
}

// decode runs a Decoder over the pieces of a stream.
func decode(t *testing.T, role websock.Role, limits engine.Limits, pieces [][]byte) (f found) {
	t.Helper()
	d := engine.NewDecoder(role, limits)
	var payload []byte
	for _, piece := range pieces {
		piece = bytes.Clone(piece) // it is unmasked in place
		for {
			e, n, err := d.Next(piece)
			if err != nil {
				f.err = err
				checkBroken(t, err)
				if _, n, again := d.Next(piece); again != err || n != 0 {
					t.Fatalf("%v is followed by %v, %d", err, again, n)
				}
				return f
			}
			piece = piece[n:]
			if e.Kind == engine.EventNone {
				if len(piece) > 0 {
					t.Fatalf("%d bytes were left", len(piece))
				}
				break
			}
			if int64(len(e.Payload)) > e.Header.Length {
				t.Fatalf("%d bytes of a frame of %d", len(e.Payload), e.Header.Length)
			}
			payload = append(payload, e.Payload...)
			if e.Header.Remaining == 0 {
				f.frames = append(f.frames, frame{e.Header.Opcode, e.Header.Fin, string(payload)})
				payload = payload[:0]
			}
		}
	}
	return f
}

// checkBroken demands one of the errors that a Decoder documents.
func checkBroken(t *testing.T, err error) {
	t.Helper()
	var broken *websock.ProtocolError
	var limit *websock.LimitError
	switch {
	case errors.As(err, &broken) && (broken.Code == websock.CloseProtocolError || broken.Code == websock.CloseInvalidPayload):
	case errors.As(err, &limit) && (limit.Code == websock.CloseMessageTooBig || limit.Code == websock.ClosePolicyViolation):
	default:
		t.Fatalf("%v is no documented error", err)
	}
}

// roleOf makes a role of a fuzzed bool.
func roleOf(server bool) websock.Role {
	if server {
		return websock.Server
	}
	return websock.Client
}

// FuzzDecoder holds the Decoder to it that cuts of the stream make no difference, and
// that its errors are those it documents.
func FuzzDecoder(f *testing.F) {
	for _, stream := range streams {
		f.Add([]byte(stream), []byte{1, 2, 3}, true)
		f.Add([]byte(stream), []byte{1}, false)
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte, server bool) {
		bounds.Check(t, 1<<20+64*uint64(len(stream)), func() {
			whole := decode(t, roleOf(server), decoderLimits, [][]byte{stream})
			var cut [][]byte
			pieces(len(stream), cuts, func(from, to int) { cut = append(cut, stream[from:to]) })
			if parts := decode(t, roleOf(server), decoderLimits, cut); !parts.equal(whole) {
				t.Fatalf("whole: %v\nin pieces: %v", whole, parts)
			}
		})
	})
}
