package utf8

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/mask"
)

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// masked returns text as it arrives, between guards of 64 bytes.
func masked(text []byte, pos int) (room, b []byte) {
	room = bytes.Repeat([]byte{0xA5}, len(text)+128)
	b = room[64 : 64+len(text)]
	mask.Copy(b, text, testKey, pos)
	return room, b
}

func untouched(room []byte, n int) bool {
	guard := bytes.Repeat([]byte{0xA5}, 64)
	return bytes.Equal(room[:64], guard) && bytes.Equal(room[64+n:], guard)
}

func TestUnmaskEveryLength(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		for _, tt := range texts {
			for n := range 1100 {
				text := repeat(tt.text, n)
				for pos := range 4 {
					room, b := masked(text, pos)
					var v Validator
					next, ok := v.Unmask(b, testKey, pos)
					if !ok || !v.Complete() || next != (pos+len(b))&3 || !bytes.Equal(b, text) || !untouched(room, len(b)) {
						t.Fatalf("%s, %d bytes at position %d: %v, next %d", tt.name, len(b), pos, ok, next)
					}
				}
			}
		}
	})
}

func TestCopyEveryLength(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		for _, tt := range texts {
			for n := range 1100 {
				text := repeat(tt.text, n)
				room, b := masked(text, 0)
				var v Validator
				if !v.Copy(b, text) || !v.Complete() || !bytes.Equal(b, text) || !untouched(room, len(b)) {
					t.Fatalf("%s, %d bytes: wrong", tt.name, len(b))
				}
			}
		}
	})
}

func TestUnmaskWholeEveryLength(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		for _, tt := range texts {
			for n := range 1100 {
				text := repeat(tt.text, n)
				room, b := masked(text, 0)
				copied := make([]byte, len(text))
				if !UnmaskWhole(copied, b, testKey) || !bytes.Equal(copied, text) {
					t.Fatalf("%s, %d bytes: wrong", tt.name, len(b))
				}
				if !UnmaskWhole(b, b, testKey) || !bytes.Equal(b, text) || !untouched(room, len(b)) {
					t.Fatalf("%s, %d bytes in place: wrong", tt.name, len(b))
				}
				if n := len(text) - 1; n > 0 && UnmaskWhole(copied, text[:n], [4]byte{}) != utf8.Valid(text[:n]) {
					t.Fatalf("%s, %d bytes, cut: wrong", tt.name, n)
				}
			}
		}
	})
}

func TestUnmaskNoticesEveryByte(t *testing.T) {
	lengths := []int{1, 2, 3, 4, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 600, 1023, 1024, 1025, 1400}
	forEachKernel(t, func(t *testing.T) {
		for _, n := range lengths {
			text := bytes.Repeat([]byte{'a'}, n)
			for i := range text {
				for _, c := range []byte{0x7F, 0x80, 0xC3, 0xFF} {
					text[i] = c
					_, b := masked(text, i)
					var v Validator
					_, ok := v.Unmask(b, testKey, i)
					if ok := ok && v.Complete(); ok != utf8.Valid(text) {
						t.Fatalf("%d bytes, byte %d is %x: %v", n, i, c, ok)
					}
					_, b = masked(text, 0)
					if ok := UnmaskWhole(b, b, testKey); ok != utf8.Valid(text) {
						t.Fatalf("%d bytes, byte %d is %x: %v for the whole", n, i, c, ok)
					}
				}
				text[i] = 'a'
			}
		}
	})
}

// A code point cut at the end of one piece is not completed by ASCII.
func TestUnmaskAfterCutCodePoint(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		for _, n := range []int{1, 4, 16, 100, 2000} {
			var v Validator
			if !v.Write([]byte("\xe2\x82")) {
				t.Fatal("a cut code point rejected")
			}
			_, b := masked(bytes.Repeat([]byte{'a'}, n), 0)
			if _, ok := v.Unmask(b, testKey, 0); ok {
				t.Errorf("%d bytes: accepted", n)
			}
			if v.Copy(b, bytes.Repeat([]byte{'a'}, n)) {
				t.Errorf("%d bytes: accepted after a failure", n)
			}
		}
	})
}

func TestCopyPanicsWhenDstIsShort(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var v Validator
	v.Copy(make([]byte, 9, 16), make([]byte, 10))
}

func TestUnmaskWholePanicsWhenDstIsShort(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	UnmaskWhole(make([]byte, 9, 16), make([]byte, 10), testKey)
}
