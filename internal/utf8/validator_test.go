package utf8

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/race"
)

// bounds has the first and last byte of every class of bytes that RFC 3629 section 4
// distinguishes.
var bounds = []byte{
	0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF,
	0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF,
}

// prefixes are the beginnings of well-formed code points, as ranges of bytes
// (RFC 3629, section 4).
var prefixes = [][][2]byte{
	{{0x00, 0x7F}},
	{{0xC2, 0xDF}, {0x80, 0xBF}},
	{{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}},
	{{0xE1, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}},
	{{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
	{{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}},
}

// begins reports whether p is a prefix of a valid text.
func begins(p []byte) bool {
next:
	for len(p) > 0 {
		for _, form := range prefixes {
			n := 0
			for n < len(form) && n < len(p) && form[n][0] <= p[n] && p[n] <= form[n][1] {
				n++
			}
			if n == len(p) {
				return true
			}
			if n == len(form) {
				p = p[n:]
				continue next
			}
		}
		return false
	}
	return true
}

// check writes p in pieces, split in every possible way, and compares every result
// with RFC 3629. can[n] reports whether p[:n] is a prefix of a valid text.
func check(t *testing.T, p []byte, can *[5]bool) {
	valid := utf8.Valid(p)
	for cuts := range 1 << (len(p) - 1) {
		var v Validator
		from := 0
		for to := 1; to <= len(p); to++ {
			if to < len(p) && cuts>>(to-1)&1 == 0 {
				continue
			}
			if ok := v.Write(p[from:to]); ok != can[to] {
				t.Fatalf("% x, cut at %b: Write up to byte %d says %v", p, cuts, to, ok)
			}
			from = to
		}
		if v.Complete() != valid {
			t.Fatalf("% x, cut at %b: Complete says %v", p, cuts, v.Complete())
		}
	}
	if Valid(p) != valid {
		t.Fatalf("% x: Valid says %v", p, !valid)
	}
}

// each calls check with every sequence with one byte from each of choices.
func each(t *testing.T, choices ...[]byte) {
	p := make([]byte, len(choices))
	can := [5]bool{0: true}
	var fill func(i int)
	fill = func(i int) {
		if i == len(p) {
			check(t, p, &can)
			return
		}
		for _, c := range choices[i] {
			p[i] = c
			can[i+1] = can[i] && begins(p[:i+1])
			fill(i + 1)
		}
	}
	fill(0)
}

func TestEverySequenceAtEverySplit(t *testing.T) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	few := every
	if testing.Short() || race.Enabled {
		few = bounds
	}
	t.Run("one byte", func(t *testing.T) { each(t, every) })
	t.Run("two bytes", func(t *testing.T) { each(t, every, every) })
	t.Run("three bytes", func(t *testing.T) { each(t, every, few, few) })
	t.Run("four bytes", func(t *testing.T) { each(t, bounds, bounds, bounds, bounds) })
}

func TestEveryCodePointInTwoPieces(t *testing.T) {
	for r := rune(0); r <= utf8.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		p := utf8.AppendRune(nil, r)
		for cut := range p {
			var v Validator
			if !v.Write(p[:cut]) || !v.Write(p[cut:]) || !v.Complete() {
				t.Fatalf("%U cut at %d: rejected", r, cut)
			}
		}
	}
}

func TestWriteFailsUntilReset(t *testing.T) {
	var v Validator
	if v.Write([]byte("a\xffb")) {
		t.Error("0xFF accepted")
	}
	for _, p := range []string{"", "a", "\x80"} {
		if v.Write([]byte(p)) || v.Complete() {
			t.Errorf("%q accepted after a failure", p)
		}
	}
	v.Reset()
	if !v.Write([]byte("ä")) || !v.Complete() {
		t.Error("rejected after Reset")
	}
}

func TestEmptyTextIsValid(t *testing.T) {
	var v Validator
	if !v.Complete() || !v.Write(nil) || !v.Complete() {
		t.Error("rejected")
	}
}

func TestEmptyPieceChangesNothing(t *testing.T) {
	var v Validator
	if !v.Write([]byte("\xe2\x82")) || !v.Write(nil) || v.Complete() {
		t.Error("a cut code point went unnoticed")
	}
	if !v.Write([]byte("\xac")) || !v.Complete() {
		t.Error("rejected")
	}
}

func TestValidatorSize(t *testing.T) {
	if n := unsafe.Sizeof(Validator{}); n > 8 {
		t.Errorf("%d bytes", n)
	}
}

func TestNoAllocations(t *testing.T) {
	p := []byte(strings.Repeat("aä€😀", 100))
	dst := make([]byte, len(p))
	if n := testing.AllocsPerRun(100, func() {
		var v Validator
		v.Write(p[:501])
		v.Write(p[501:])
		v.Unmask(p, [4]byte{}, 1)
		v.Copy(dst, p)
		Valid(p)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func ExampleValidator() {
	var v Validator
	fmt.Println(v.Write([]byte("5 \xe2\x82")), v.Complete()) // "€" is cut
	fmt.Println(v.Write([]byte("\xac")), v.Complete())
	// Output:
	// true false
	// true true
}
