package deflate

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/seed004e8d11/websock/internal/race"
)

// A reference is a simple inflater, which reads bit by bit and uses nothing of this package. It records
// the largest distance.
type reference struct {
	in       []byte
	at       int // bits read
	out      []byte
	furthest int
}

var errReference = errors.New("not a deflate stream")

func (r *reference) bit() int {
	if r.at >= 8*len(r.in) {
		panic(errReference)
	}
	b := int(r.in[r.at/8]>>(r.at%8)) & 1
	r.at++
	return b
}

func (r *reference) bits(n int) (value int) {
	for i := range n {
		value |= r.bit() << i
	}
	return value
}

// symbol reads a symbol of a code with the given sizes.
func (r *reference) symbol(sizes []int) int {
	code, first := 0, 0
	for size := 1; size <= 15; size++ {
		code |= r.bit()
		n := 0
		for s, of := range sizes {
			if of == size {
				if code == first+n {
					return s
				}
				n++
			}
		}
		first = (first + n) << 1
		code <<= 1
	}
	panic(errReference)
}

func (r *reference) block() (last bool) {
	last = r.bit() == 1
	switch r.bits(2) {
	case 0:
		r.at = (r.at + 7) &^ 7
		n, complement := r.bits(16), r.bits(16)
		if n != ^complement&0xffff {
			panic(errReference)
		}
		for range n {
			r.out = append(r.out, byte(r.bits(8)))
		}
	case 1:
		var literals, distances []int
		for i := range 288 {
			switch {
			case i < 144, i > 279:
				literals = append(literals, 8)
			case i < 256:
				literals = append(literals, 9)
			default:
				literals = append(literals, 7)
			}
		}
		for range 30 {
			distances = append(distances, 5)
		}
		r.data(literals, distances)
	case 2:
		r.data(r.codes())
	default:
		panic(errReference)
	}
	return last
}

func (r *reference) codes() (literals, distances []int) {
	nLiterals, nDistances, n := r.bits(5)+257, r.bits(5)+1, r.bits(4)+4
	sizes := make([]int, 19)
	for _, i := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:n] {
		sizes[i] = r.bits(3)
	}
	var all []int
	for len(all) < nLiterals+nDistances {
		s := r.symbol(sizes)
		value, times := s, 1
		switch s {
		case 16:
			value, times = all[len(all)-1], 3+r.bits(2)
		case 17:
			value, times = 0, 3+r.bits(3)
		case 18:
			value, times = 0, 11+r.bits(7)
		}
		for range times {
			all = append(all, value)
		}
	}
	return all[:nLiterals], all[nLiterals:]
}

func (r *reference) data(literals, distances []int) {
	lengthBase := []int{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthExtra := []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0}
	distanceBase := []int{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceExtra := []int{0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}
	for {
		s := r.symbol(literals)
		switch {
		case s < 256:
			r.out = append(r.out, byte(s))
		case s == 256:
			return
		default:
			length := lengthBase[s-257] + r.bits(lengthExtra[s-257])
			d := r.symbol(distances)
			distance := distanceBase[d] + r.bits(distanceExtra[d])
			r.furthest = max(r.furthest, distance)
			for range length {
				r.out = append(r.out, r.out[len(r.out)-distance])
			}
		}
	}
}

// inflate inflates a whole stream that ends with the empty block of a flush.
func (r *reference) inflate(stream []byte) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = errReference
		}
	}()
	r.in, r.at = stream, 0
	for r.at < 8*len(stream) {
		r.block()
	}
	return nil
}

func TestDeflateStaysWithinTheWindow(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine, for long")
	}
	r := rand.New(rand.NewPCG(7, 8))
	text := samples()["text"]
	for bits := 8; bits <= 15; bits++ {
		for _, level := range []int{1, 2, 5, 9} {
			d := NewDeflater(level, bits)
			h := NewHistory(bits)
			var ref reference
			for range 60 {
				at := r.IntN(len(text) / 4)
				p := text[at : at+r.IntN(1<<r.IntN(17))]
				before := len(ref.out)
				if err := ref.inflate(d.Deflate(nil, p, &h)); err != nil {
					t.Fatal(err)
				}
				if got := string(ref.out[before:]); got != string(p) {
					t.Fatalf("level %d, %d bits: %d bytes became %d", level, bits, len(p), len(got))
				}
				h.Append(p)
			}
			if ref.furthest > 1<<bits {
				t.Errorf("level %d: %d bytes back, in a window of %d", level, ref.furthest, 1<<bits)
			}
			if ref.furthest <= 1<<(bits-1) {
				t.Errorf("level %d: never more than %d bytes back, in a window of %d", level, ref.furthest, 1<<bits)
			}
		}
	}
}
