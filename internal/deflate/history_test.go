package deflate

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestHistoryHoldsLastWindow(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const bits = 8
	h := NewHistory(bits)
	var all []byte
	for range 500 {
		p := make([]byte, r.IntN(100)*r.IntN(8))
		for i := range p {
			p[i] = byte(r.Uint32())
		}
		h.Append(p)
		all = append(all, p...)
		want := all[max(0, len(all)-1<<bits):]
		if h.Len() != len(want) || cap(h.b) > 1<<bits {
			t.Fatalf("%d bytes in %d, want %d", h.Len(), cap(h.b), len(want))
		}
		if got := h.AppendTo([]byte("x")); !bytes.Equal(got[1:], want) {
			t.Fatalf("%x, want %x", got, want)
		}
		if len(want) == 0 {
			continue
		}
		distance := 1 + r.IntN(len(want))
		got := make([]byte, r.IntN(300))
		n := h.copyTo(got, distance)
		if tail := want[len(want)-distance:]; n != min(len(got), len(tail)) || !bytes.Equal(got[:n], tail[:n]) {
			t.Fatalf("from %d bytes back: %x, want %x", distance, got[:n], tail)
		}
	}
}

func TestHistoryCapacityIsBounded(t *testing.T) {
	h := NewHistory(15)
	if h.b != nil {
		t.Error("memory for nothing")
	}
	h.Append(make([]byte, 100))
	if cap(h.b) > 256 {
		t.Errorf("%d bytes for 100", cap(h.b))
	}
	h.Append(make([]byte, 1<<20))
	if cap(h.b) != 1<<15 {
		t.Errorf("%d bytes for a window of %d", cap(h.b), 1<<15)
	}
	h.Reset(11)
	if h.Len() != 0 {
		t.Errorf("%d bytes after Reset", h.Len())
	}
	h.Append(make([]byte, 1<<20))
	if h.Len() != 1<<11 {
		t.Errorf("%d bytes in a window of %d", h.Len(), 1<<11)
	}
}
