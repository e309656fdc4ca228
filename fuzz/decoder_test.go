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

// limits are low enough for inputs to reach, and high enough for memory to show that is allocated for
// a declared length.
var limits = websock.Limits{MessageSize: 8 << 20, FrameSize: 6 << 20, Fragments: 8, PongRate: -1}

// decoderLimits are those of limits that a Decoder enforces.
var decoderLimits = engine.Limits{MessageSize: limits.MessageSize, FrameSize: limits.FrameSize, Fragments: limits.Fragments}

// streams has what peers send, valid and invalid, in either role.
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

// found is everything that a Decoder found in a stream.
type found struct {
	frames []frame
	err    error
}

// A frame has the payload that may have been returned in parts.
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

// sameError compares errors, those of a Decoder by value.
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

// decode runs a Decoder over the pieces of a stream. The zero Compression means that none was
// negotiated.
func decode(t *testing.T, role websock.Role, limits engine.Limits, z websock.Compression, pieces [][]byte) (f found) {
	t.Helper()
	limits = limits.WithDefaults()
	var d engine.Decoder
	d.Init(role, &limits, engine.NewPerMessageDeflate(z))
	var payload []byte
	for _, piece := range pieces {
		piece = bytes.Clone(piece) // it is unmasked in place
		for {
			e, n, err := d.Next(piece)
			if err != nil {
				f.err = err
				checkBroken(t, err)
				if _, n, again := d.Next(piece); again != err || n != 0 {
					t.Fatalf("after %v: %v, %d", err, again, n)
				}
				return f
			}
			piece = piece[n:]
			if e.Kind == engine.EventNone {
				if len(piece) > 0 {
					t.Fatalf("%d bytes were not used", len(piece))
				}
				break
			}
			if z.IsOff() && int64(len(e.Payload)) > e.Header.Length {
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

// checkBroken fails unless err is one of the errors that a Decoder documents.
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

// roleOf returns the role that a fuzzed bool stands for.
func roleOf(server bool) websock.Role {
	if server {
		return websock.Server
	}
	return websock.Client
}

// negotiated returns the compression that a fuzzed byte stands for: none, or one with the settings
// that concern a Decoder.
func negotiated(b byte) websock.Compression {
	if b == 0 {
		return websock.Compression{}
	}
	return websock.Compression{Level: 1, RecvTakeover: b&8 != 0, RecvWindowBits: 8 + int(b%8)}
}

// compressedStreams has what peers send with compression, valid and invalid.
var compressedStreams = []string{
	"\xc1\x07" + deflatedHello + "\xc1\x05\xf2\x00\x11\x00\x00\x81\x05Hello\xc2\x01\x00\x88\x00",
	"\x41\x03\xf2\x48\xcd\x89\x01p\x00\x00\x80\x04\xc9\xc9\x07\x00",
	"\xc1\x09\x00\x05\x00\xfa\xffab\xffcd\x00", "\xc1\x07\x00\x02\x00\xfd\xffa\xc3\x00",
	"\xc2\x03\xf2\x48\xcd\x82\x00", "\xc2\x01\x07", "\xc9\x00", "\x41\x01\xf2\xc0\x01\x00",
	string(engine.AppendHeader(nil, websock.Header{Fin: true, Rsv: engine.RSV1, Opcode: websock.OpBinary, Length: int64(len(bomb()))})) + bomb(),
}

// FuzzDecoder demands that a Decoder finds the same frames and the same error however the stream
// is cut, with and without compression, and that it returns no errors but those it documents.
func FuzzDecoder(f *testing.F) {
	for _, stream := range streams {
		f.Add([]byte(stream), []byte{1, 2, 3}, true, byte(0))
		f.Add([]byte(stream), []byte{1}, false, byte(15))
	}
	for _, stream := range compressedStreams {
		f.Add([]byte(stream), []byte{1, 2, 3}, false, byte(15))
		f.Add([]byte(stream), []byte{1}, false, byte(1))
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte, server bool, compression byte) {
		role, z, limits := roleOf(server), negotiated(compression), decoderLimits
		most := 1<<20 + 64*uint64(len(stream))
		if !z.IsOff() {
			limits.InflatedSize = inflatedMost
			most += 16 * inflationMost * uint64(len(stream))
		}
		bounds.Check(t, most, func() {
			whole := decode(t, role, limits, z, [][]byte{stream})
			var cut [][]byte
			pieces(len(stream), cuts, func(from, to int) { cut = append(cut, stream[from:to]) })
			if parts := decode(t, role, limits, z, cut); !parts.equal(whole) {
				t.Fatalf("whole: %v\nin pieces: %v", whole, parts)
			}
		})
	})
}
