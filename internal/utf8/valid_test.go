package utf8

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/internal/race"
)

var texts = []struct{ name, text string }{
	{"ASCII", "The quick brown fox jumps over the lazy dog. "},
	{"two-byte", "äöüпривет"},
	{"three-byte", "€日本語"},
	{"four-byte", "😀🦊𝄞"},
	{"mixed", "aä€😀 "},
	{"mostly ASCII", "Grüße aus der Küche, schöne Welt! "},
}

// repeat returns up to n bytes of text repeated, cut at the end of a code point.
func repeat(text string, n int) []byte {
	p := []byte(strings.Repeat(text, n/len(text)+1))[:n]
	return p[:n-cut(p)]
}

func TestKernelsAcceptWholeText(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		for _, tt := range texts {
			for n := range 1100 {
				if p := repeat(tt.text, n); !Valid(p) {
					t.Fatalf("%s, %d bytes: rejected", tt.name, len(p))
				}
			}
		}
	})
}

func TestKernelsRejectCutText(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		for _, tt := range texts {
			for n := range 1100 {
				p := []byte(strings.Repeat(tt.text, n/len(tt.text)+1))[:n]
				if Valid(p) != (cut(p) == 0) {
					t.Fatalf("%s, %d bytes: %v", tt.name, n, Valid(p))
				}
			}
		}
	})
}

// An invalid byte is found at any position in a vector, and bytes around the text
// are ignored.
func TestKernelsNoticeEveryByte(t *testing.T) {
	lengths := 300
	if testing.Short() || race.Enabled {
		lengths = 90
	}
	forEachKernel(t, func(t *testing.T) {
		for _, tt := range texts {
			for n := range lengths {
				text := repeat(tt.text, n)
				around := bytes.Repeat([]byte{0xFF}, len(text)+128)
				p := around[64 : 64+len(text)]
				copy(p, text)
				for i := range p {
					for _, c := range []byte{'a', 0x80, 0xBF, 0xC3, 0xE0, 0xED, 0xF4, 0xFF} {
						p[i] = c
						if got, want := Valid(p), utf8.Valid(p); got != want {
							t.Fatalf("%s, %d bytes, byte %d is %x: %v", tt.name, len(p), i, c, got)
						}
					}
					p[i] = text[i]
				}
			}
		}
	})
}

// All sequences of bytes that the rules distinguish, across the edges of vectors.
func TestKernelsAgreeOnEverySequence(t *testing.T) {
	places := []int{0, 1, 13, 14, 15, 16, 29, 30, 31, 32, 61, 62, 63, 64, 100, 125, 126, 127, 128, 200, 251, 252}
	if testing.Short() || race.Enabled {
		places = []int{14, 62}
	}
	forEachKernel(t, func(t *testing.T) {
		p := bytes.Repeat([]byte{'a'}, 256)
		for _, a := range bounds {
			for _, b := range bounds {
				for _, c := range bounds {
					for _, d := range bounds {
						sequence := [4]byte{a, b, c, d}
						want := utf8.Valid(sequence[:])
						for _, at := range places {
							copy(p[at:], sequence[:])
							if Valid(p) != want {
								t.Fatalf("% x at %d: %v", sequence, at, !want)
							}
							copy(p[at:], "aaaa")
						}
					}
				}
			}
		}
	})
}
