package fuzz

import (
	"bytes"
	"errors"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// bits reads a header bit by bit, as in the figure of RFC 6455 section 5.2.
type bits struct {
	b    []byte
	read int
}

// take returns the next n bits, or false if b has fewer.
func (r *bits) take(n int) (value uint64, ok bool) {
	for range n {
		if r.read/8 >= len(r.b) {
			return 0, false
		}
		value = value<<1 | uint64(r.b[r.read/8]>>(7-r.read%8)&1)
		r.read++
	}
	return value, true
}

// slowHeader is a simple ParseHeader. broken is the rule that b breaks, as far as b shows it.
func slowHeader(b []byte) (h websock.Header, n int, broken string) {
	none := websock.Header{Opcode: websock.OpNone}
	r := &bits{b: b}
	fin, _ := r.take(1)
	rsv, _ := r.take(3)
	opcode, _ := r.take(4)
	masked, _ := r.take(1)
	length, ok := r.take(7)
	control := opcode >= 8
	switch {
	case !ok:
		return none, 0, ""
	case opcode >= 3 && opcode <= 7 || opcode >= 11:
		return none, 0, "reserved opcode"
	case control && fin == 0:
		return none, 0, "fragmented control frame"
	case control && length > 125:
		return none, 0, "control frame of more than 125 bytes"
	}
	shortest := uint64(0)
	switch length {
	case 126:
		length, ok = r.take(16)
		shortest = 126
	case 127:
		length, ok = r.take(64)
		shortest = 1 << 16
	}
	switch {
	case !ok:
		return none, 0, ""
	case length >= 1<<63:
		return none, 0, "payload length of more than 63 bits"
	case length < shortest:
		return none, 0, "payload length not in its shortest form"
	}
	h = websock.Header{
		Fin: fin == 1, Rsv: uint8(rsv), Opcode: websock.Opcode(opcode), Masked: masked == 1,
		Length: int64(length), Remaining: int64(length),
	}
	if h.Masked {
		for i := range h.Key {
			var part uint64
			part, ok = r.take(8)
			h.Key[i] = byte(part)
		}
	}
	if !ok {
		return none, 0, ""
	}
	return h, r.read / 8, ""
}

// FuzzHeader compares ParseHeader with slowHeader, for the whole input and every prefix.
// AppendHeader must return the bytes that were parsed.
func FuzzHeader(f *testing.F) {
	for _, header := range []string{
		"\x81\x05Hello",
		"\x82\xfe\x01\x00keyspayload",
		"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
		"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
		"\x82\x7e\x00\x7d", "\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
		"\x89\x7d", "\x89\x7e", "\x09\x00", "\x83\x00", "\xf0\x80mask",
	} {
		f.Add([]byte(header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for end := range min(len(b), engine.MaxHeaderSize) + 1 {
			prefix := b[:end]
			h, n, err := engine.ParseHeader(prefix)
			wantHeader, wantSize, broken := slowHeader(prefix)
			if h != wantHeader || n != wantSize || ruleOf(t, err) != broken {
				t.Fatalf("%x: %+v, %d, %v; want %+v, %d, %q", prefix, h, n, err, wantHeader, wantSize, broken)
			}
			if n > 0 {
				if again := engine.AppendHeader(nil, h); !bytes.Equal(again, b[:n]) {
					t.Fatalf("%x becomes %x", b[:n], again)
				}
			}
		}
	})
}

// ruleOf returns the rule of a *websock.ProtocolError; no other error is documented.
func ruleOf(t *testing.T, err error) string {
	t.Helper()
	var broken *websock.ProtocolError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &broken) || broken.Code != websock.CloseProtocolError:
		t.Fatalf("%v is no documented error", err)
	}
	return broken.Rule
}
