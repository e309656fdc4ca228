package fuzz

import (
	"bytes"
	"testing"
	stdlib "unicode/utf8"

	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// validPrefix returns the length of the longest prefix of text that can be extended to valid text.
func validPrefix(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := stdlib.DecodeRune(text[n:])
		if r == stdlib.RuneError && size == 1 {
			break
		}
		n += size
	}
	// The rest is invalid at its first byte, or an incomplete code point that is invalid later.
	end := n
	for end < len(text) && completable(text[n:end+1]) {
		end++
	}
	return end
}

// completable reports whether p is the start of the encoding of a code point.
func completable(p []byte) bool {
	for next := byte(0x80); next < 0xC0; next++ {
		whole := append([]byte{}, p...)
		for len(whole) < 4 {
			whole = append(whole, next)
			if stdlib.Valid(whole) {
				return true
			}
		}
	}
	return false
}

// FuzzUTF8 validates text in pieces and compares every result with that of unicode/utf8.
func FuzzUTF8(f *testing.F) {
	f.Add([]byte("Hello, κόσμε 😀"), []byte{3, 5, 1})
	f.Add([]byte("\xed\xa0"), []byte{1})
	f.Add([]byte("\xf4\x90"), []byte{1})
	f.Add([]byte("\xe0\x80\x80"), []byte{})
	f.Add([]byte("0123456789012345678901234567890123456789\xf0\x9f\x98"), []byte{40})
	f.Add([]byte("äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü\xffäöüäöüäöüäöü"), []byte{255, 64, 32})
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		if got, want := utf8.Valid(text), stdlib.Valid(text); got != want {
			t.Fatalf("Valid(%q) = %v", text, got)
		}
		var v utf8.Validator
		end := validPrefix(text)
		pieces(len(text), cuts, func(from, to int) {
			if got, want := v.Write(text[from:to]), to <= end; got != want {
				t.Fatalf("%q, cut at %d: Write(%q) = %v", text, cuts, text[from:to], got)
			}
		})
		if got, want := v.Complete(), stdlib.Valid(text); got != want {
			t.Fatalf("%q, cut at %d: Complete() = %v", text, cuts, got)
		}

		key := [4]byte{0x37, 0xfa, 0x21, 0x3d}
		masked := make([]byte, len(text))
		mask.Copy(masked, text, key, 0)
		pos := 0
		var unmasking, copying utf8.Validator
		pieces(len(text), cuts, func(from, to int) {
			var got bool
			piece := masked[from:to]
			if pos, got = unmasking.Unmask(piece, key, pos); got != (to <= end) || !bytes.Equal(piece, text[from:to]) {
				t.Fatalf("%q, cut at %d: Unmask up to %d returned %v, %q", text, cuts, to, got, piece)
			}
			clear(piece)
			if got = copying.Copy(piece, text[from:to]); got != (to <= end) || !bytes.Equal(piece, text[from:to]) {
				t.Fatalf("%q, cut at %d: Copy up to %d returned %v, %q", text, cuts, to, got, piece)
			}
		})
		if unmasking != v || copying != v {
			t.Fatalf("%q, cut at %d: final states differ", text, cuts)
		}
	})
}
