package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/seed004e8d11/websock/internal/race"
)

func TestStandardLibraryInflatesWhatDeflateCompresses(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine, for long")
	}
	for name, sample := range samples() {
		for level := 1; level <= 9; level++ {
			for _, bits := range []int{8, 9, 11, 15} {
				d := NewDeflater(level, bits)
				stream := d.Deflate(nil, sample, &History{})
				got, err := io.ReadAll(flate.NewReader(bytes.NewReader(stream)))
				if err != io.ErrUnexpectedEOF || !bytes.Equal(got, sample) {
					t.Fatalf("%s, level %d, %d bits: %d bytes of %d, %v", name, level, bits, len(got), len(sample), err)
				}
				if len(stream) > Bound(len(sample)) {
					t.Errorf("%s, level %d: %d bytes are more than %d", name, level, len(stream), Bound(len(sample)))
				}
			}
		}
	}
}

func TestDeflateRefersToHistory(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine, for long")
	}
	r := rand.New(rand.NewPCG(5, 6))
	text := samples()["text"]
	for level := 1; level <= 9; level++ {
		for bits := 8; bits <= 15; bits++ {
			t.Run(fmt.Sprintf("level %d, %d bits", level, bits), func(t *testing.T) {
				d := NewDeflater(level, bits)
				sent, received := NewHistory(bits), NewHistory(bits)
				var f Inflater
				for i := range 50 {
					at := r.IntN(len(text) / 2)
					p := text[at : at+r.IntN(1<<r.IntN(16))]
					stream := d.Deflate(nil, p, &sent)
					sent.Append(p)
					got := make([]byte, len(p))
					n, _, needsMore, err := f.Inflate(got, stream, &received)
					if err != nil || !needsMore || !f.AtEnd() || !bytes.Equal(got[:n], p) {
						t.Fatalf("message %d: %d bytes of %d, %v", i, n, len(p), err)
					}
					received.Append(got)
				}
				p := text[:200]
				sent.Append(p)
				if n := len(d.Deflate(nil, p, &sent)); n > 20 {
					t.Errorf("a repeated message takes %d bytes", n)
				}
			})
		}
	}
}

func TestLevel1LooksBackEightTimesAsFarAsAMessageIsLong(t *testing.T) {
	noise := make([]byte, 1<<15)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	h := NewHistory(15)
	h.Append(noise)
	for _, test := range []struct {
		level, size, back int
		found             bool
	}{
		{1, 100, 8 << 10, true},
		{1, 100, 9 << 10, false},
		{1, 1 << 10, 8 << 10, true},
		{1, 1 << 10, 10 << 10, false},
		{1, 2 << 10, 16 << 10, true},
		{1, 4 << 10, 32 << 10, true},
		{2, 100, 31 << 10, true},
	} {
		repeated := noise[len(noise)-test.back:][:test.size]
		n := len(NewDeflater(test.level, 15).Deflate(nil, repeated, &h))
		if found := n < test.size/2; found != test.found {
			t.Errorf("level %d: what %d bytes of %d KiB ago repeat takes %d", test.level, test.size, test.back>>10, n)
		}
	}
}
