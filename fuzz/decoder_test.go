package fuzz

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

// found is all that a Decoder found in a stream, payload of one frame joined.
type found struct {
	events []string
	err    error
}

func (f found) String() string { return fmt.Sprintf("%q, %v", f.events, f.err) }

// decode runs a Decoder over the pieces of a stream.
func decode(t *testing.T, role engine.Role, limits engine.Limits, pieces [][]byte) (f found) {
	d := engine.NewDecoder(role, limits)
	var payload []byte
	for _, piece := range pieces {
		piece = bytes.Clone(piece) // it is unmasked in place
		for {
			e, n, err := d.Next(piece)
			if err != nil {
				f.err = err
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
				f.events = append(f.events, fmt.Sprintf("%v %v %q", e.Header.Opcode, e.Header.Fin, payload))
				payload = payload[:0]
			}
		}
	}
	return f
}

// FuzzDecoder holds the Decoder to it that cuts of the stream make no difference, and
// that its errors are those it documents.
func FuzzDecoder(f *testing.F) {
	for _, stream := range []string{
		"\x81\x05Hello\x82\x00\x89\x02hi\x8a\x00\x88\x02\x03\xe8",
		"\x01\x02\xe2\x82\x89\x01p\x80\x01\xac",
		"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
		"\x82\x7e\x00\x80" + string(make([]byte, 128)),
		"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
		"\xc1\x00\x83\x00\x09\x00\x88\x01x\x80\x00",
	} {
		f.Add([]byte(stream), []byte{1, 2, 3}, true)
		f.Add([]byte(stream), []byte{1}, false)
	}
	f.Fuzz(func(t *testing.T, stream, cuts []byte, server bool) {
		role := engine.Client
		if server {
			role = engine.Server
		}
		limits := engine.Limits{MessageSize: 1 << 16, Fragments: 8}
		whole := decode(t, role, limits, [][]byte{stream})
		var cut [][]byte
		pieces(len(stream), cuts, func(from, to int) { cut = append(cut, stream[from:to]) })
		parts := decode(t, role, limits, cut)
		if whole.String() != parts.String() {
			t.Fatalf("whole: %v\nin pieces: %v", whole, parts)
		}
		var broken *engine.ProtocolError
		var limit *engine.LimitError
		if whole.err != nil && !errors.As(whole.err, &broken) && !errors.As(whole.err, &limit) {
			t.Fatalf("%v is no documented error", whole.err)
		}
	})
}

// FuzzHeader parses what it can and demands the same bytes back.
func FuzzHeader(f *testing.F) {
	f.Add([]byte("\x81\x05Hello"))
	f.Add([]byte("\x82\xfe\x01\x00keyspayload"))
	f.Add([]byte("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := engine.ParseHeader(b)
		switch {
		case err != nil && n != 0:
			t.Fatalf("%d bytes used in spite of %v", n, err)
		case n == 0:
			return
		}
		if again := engine.AppendHeader(nil, h); !bytes.Equal(again, b[:n]) {
			t.Fatalf("%x becomes %x", b[:n], again)
		}
	})
}
