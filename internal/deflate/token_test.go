package deflate

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestDistanceSymbolsMatchTheirTable(t *testing.T) {
	for i, s := range distanceSymbols[:maxDistances] {
		for j := range 1 << s.extraBits() {
			distance := uint64(s.value() - 1 + j)
			if got := distanceSymbol(distance); got != uint64(i) {
				t.Fatalf("distance %d has symbol %d, want %d", distance+1, got, i)
			}
			if extra := distance & (1<<s.extraBits() - 1); extra != uint64(j) {
				t.Fatalf("distance %d has the extra bits %d, want %d", distance+1, extra, j)
			}
		}
	}
}

func TestSymbolsAreSortedByFrequency(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	var h huffman
	for range 1000 {
		counts := make([]uint16, maxLiterals)
		most := 1 << r.IntN(16)
		for i := range counts {
			counts[i] = uint16(r.IntN(most + 1))
		}
		occurring := nonzero(make([]uint16, 0, maxLiterals), counts)
		var want []uint32
		for i, n := range counts {
			if n > 0 {
				want = append(want, uint32(n)<<9|uint32(i))
			}
		}
		slices.Sort(want)
		if got := h.sort(occurring, counts); !slices.Equal(got, want) {
			t.Fatalf("frequencies up to %d: %v, want %v", most, got, want)
		}
	}
}

func TestMatchAtTheVeryEndOfAMessageIsFound(t *testing.T) {
	h := NewHistory(15)
	h.Append([]byte("0123456789abcdefghijklmnopqrstuvwxyz"))
	d := NewDeflater(1, 15)
	for _, start := range []string{"", "!!"} {
		d.Deflate(nil, []byte(start+"nopqr"), &h)
		if d.tokens.n != 1 || d.tokens.textSize != len(start) {
			t.Errorf("after %q: %d matches and %d literals", start, d.tokens.n, d.tokens.textSize)
		}
	}
}
