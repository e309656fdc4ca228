package conformance

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/seed004e8d11/websock/internal/race"
)

// A cut is a stream in the pieces in which it arrives.
type cut struct {
	name   string
	pieces [][]byte
}

// Streams of up to short bytes are cut in two at every byte, those of up to medium arrive byte by
// byte, and longer ones are cut at random.
const short = 512

var medium = map[bool]int{false: 128 << 10, true: 4 << 10}[race.Enabled]

// cuts returns the cuts of a stream.
func (s *stream) cuts() iter.Seq[cut] {
	return func(yield func(cut) bool) {
		switch {
		case s.row.pieces != 0 && !yield(cut{"as written", s.written()}):
		case len(s.bytes) > medium:
			_ = s.row.pieces != 0 || yield(s.random(20000))
		case !yield(cut{"whole", s.cutAt()}), !yield(cut{"frames", s.cutAt(s.frames...)}), !yield(cut{"bytes", s.every(1)}):
		case len(s.bytes) > short:
			yield(s.random(1000))
		default:
			s.cutsInTwo(yield)
		}
	}
}

func (s *stream) cutsInTwo(yield func(cut) bool) {
	for i := 1; i < len(s.bytes); i++ {
		if !yield(cut{fmt.Sprintf("at %d", i), s.cutAt(i)}) {
			return
		}
	}
}

// written returns the stream in the pieces in which the peer writes it.
func (s *stream) written() [][]byte {
	switch s.row.pieces {
	case 0:
		return s.cutAt()
	case wholeFrames:
		return s.cutAt(s.frames...)
	}
	return s.every(s.row.pieces)
}

// cutAt cuts at offsets in ascending order.
func (s *stream) cutAt(offsets ...int) (pieces [][]byte) {
	from := 0
	for _, to := range append(offsets, len(s.bytes)) {
		if to > from {
			pieces = append(pieces, s.bytes[from:to:to])
			from = to
		}
	}
	return pieces
}

func (s *stream) every(n int) [][]byte {
	offsets := make([]int, 0, len(s.bytes)/n)
	for at := n; at < len(s.bytes); at += n {
		offsets = append(offsets, at)
	}
	return s.cutAt(offsets...)
}

// random cuts the stream into pieces of at most that many bytes, in the same way each time.
func (s *stream) random(most int) cut {
	random := rand.New(rand.NewPCG(uint64(most), uint64(len(s.bytes))))
	var offsets []int
	for at := 1 + random.IntN(most); at < len(s.bytes); at += 1 + random.IntN(most) {
		offsets = append(offsets, at)
	}
	return cut{fmt.Sprintf("random up to %d", most), s.cutAt(offsets...)}
}
