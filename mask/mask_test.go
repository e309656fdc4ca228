package mask

import (
	"bytes"
	"fmt"
	"testing"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/race"
)

// kernel is one way to do the work of apply.
type kernel struct {
	name  string
	apply func(dst, src *byte, n int, key [4]byte, pos int)
}

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// naive is the algorithm of RFC 6455 section 5.3.
func naive(dst, src []byte, key [4]byte, pos int) {
	for i := range src {
		dst[i] = src[i] ^ key[(pos+i)%4]
	}
}

const (
	maxLength = 1100
	maxAlign  = 64
	guard     = 64
)

// noise fills b with bytes whose period differs from those of kernels.
func noise(b []byte) {
	x := uint32(2463534242)
	for i := range b {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x >> 11)
	}
}

// aligned returns n bytes, the first at an address that is a multiple of 64.
func aligned(n int) []byte {
	b := make([]byte, n+64)
	for i := range 64 {
		if uintptr(unsafe.Pointer(&b[i]))%64 == 0 {
			return b[i : i+n]
		}
	}
	panic("unreachable")
}

func TestKernelsMatchNaiveLoop(t *testing.T) {
	for _, k := range kernels() {
		t.Run(k.name, func(t *testing.T) {
			t.Run("in place", func(t *testing.T) { testInPlace(t, k) })
			t.Run("copy", func(t *testing.T) { testCopy(t, k) })
			t.Run("long", func(t *testing.T) { testLong(t, k) })
			t.Run("long at every alignment", func(t *testing.T) { testLongAlignments(t, k) })
		})
	}
}

// shifts returns the alignments to test: all, or fewer in short mode.
func shifts() []int {
	step := 1
	if testing.Short() || race.Enabled {
		step = 13
	}
	var s []int
	for i := 0; i < maxAlign; i += step {
		s = append(s, i)
	}
	return s
}

func testInPlace(t *testing.T, k kernel) {
	const size = guard + maxAlign + maxLength + guard
	plain, got := aligned(size), aligned(size)
	noise(plain)
	var masked [4][]byte
	for pos := range masked {
		masked[pos] = make([]byte, size)
		naive(masked[pos], plain, testKey, pos)
	}
	copy(got, plain)
	for n := 0; n <= maxLength; n++ {
		for _, shift := range shifts() {
			for pos := range 4 {
				from := guard + shift
				to := from + n
				k.apply(&got[from], &got[from], n, testKey, pos)
				want := masked[(pos+4-from%4)%4][from:to]
				if !bytes.Equal(got[from:to], want) {
					t.Fatalf("length %d, alignment %d, position %d: wrong bytes", n, shift, pos)
				}
				copy(got[from:to], plain[from:to])
				if !bytes.Equal(got[from-guard:to+guard], plain[from-guard:to+guard]) {
					t.Fatalf("length %d, alignment %d, position %d: wrote outside", n, shift, pos)
				}
			}
		}
	}
}

func testCopy(t *testing.T, k kernel) {
	const size = guard + maxAlign + maxLength + guard
	plain, blank, got := aligned(size), aligned(size), aligned(size)
	noise(plain)
	var masked [4][]byte
	for pos := range masked {
		masked[pos] = make([]byte, size)
		naive(masked[pos], plain, testKey, pos)
	}
	for n := 0; n <= maxLength; n++ {
		for _, shift := range shifts() {
			for pos := range 4 {
				// The source has another alignment than the destination.
				src := guard + (shift*5+pos+n)%maxAlign
				from := guard + shift
				to := from + n
				k.apply(&got[from], &plain[src], n, testKey, pos)
				want := masked[(pos+4-src%4)%4][src : src+n]
				if !bytes.Equal(got[from:to], want) {
					t.Fatalf("length %d, alignments %d and %d, position %d: wrong bytes", n, shift, src%64, pos)
				}
				clear(got[from:to])
				if !bytes.Equal(got[from-guard:to+guard], blank[:n+2*guard]) {
					t.Fatalf("length %d, alignments %d and %d, position %d: wrote outside", n, shift, src%64, pos)
				}
			}
		}
	}
}

// testLong tests loops with many iterations.
func testLong(t *testing.T, k kernel) {
	for _, n := range []int{4095, 4096, 4097, 65536, 1<<20 + 3} {
		for _, shift := range []int{0, 1, 31, 32, 63} {
			plain := aligned(shift + n)[shift:]
			noise(plain)
			want, got := make([]byte, n), make([]byte, n)
			naive(want, plain, testKey, shift)
			k.apply(&got[0], &plain[0], n, testKey, shift)
			if !bytes.Equal(got, want) {
				t.Fatalf("length %d, alignment %d: wrong copy", n, shift)
			}
			k.apply(&plain[0], &plain[0], n, testKey, shift)
			if !bytes.Equal(plain, want) {
				t.Fatalf("length %d, alignment %d: wrong bytes in place", n, shift)
			}
		}
	}
}

// testLongAlignments has messages for the loops of long ones, which begin and end at every alignment.
func testLongAlignments(t *testing.T, k kernel) {
	const shortest = 1280
	room, plain := aligned(guard+maxAlign+shortest+maxAlign+guard), aligned(2*maxAlign+shortest)
	blank := bytes.Repeat([]byte{0xEE}, guard)
	want := make([]byte, shortest+maxAlign)
	noise(plain)
	for shift := range maxAlign {
		for n := shortest; n < shortest+maxAlign; n++ {
			src, pos := plain[n*5%maxAlign:][:n], n%4
			dst := room[guard+shift:][:n]
			before, after := room[shift:][:guard], room[guard+shift+n:][:guard]
			copy(before, blank)
			copy(after, blank)
			naive(want[:n], src, testKey, pos)
			k.apply(&dst[0], &src[0], n, testKey, pos)
			if !bytes.Equal(dst, want[:n]) {
				t.Fatalf("length %d, alignment %d: wrong copy", n, shift)
			}
			k.apply(&dst[0], &dst[0], n, testKey, pos)
			if !bytes.Equal(dst, src) {
				t.Fatalf("length %d, alignment %d: wrong bytes in place", n, shift)
			}
			if !bytes.Equal(before, blank) || !bytes.Equal(after, blank) {
				t.Fatalf("length %d, alignment %d: other bytes were changed", n, shift)
			}
		}
	}
}

func TestReturnsNextPosition(t *testing.T) {
	for _, tt := range []struct{ n, pos, want int }{
		{0, 0, 0}, {0, 3, 3}, {1, 0, 1}, {1, 3, 0}, {4, 2, 2}, {7, 3, 2},
		{1023, 1, 0}, {1, 1 << 30, 1}, {3, 1<<30 + 3, 2},
	} {
		t.Run(fmt.Sprintf("%d bytes at %d", tt.n, tt.pos), func(t *testing.T) {
			src := make([]byte, tt.n)
			noise(src)
			want := make([]byte, tt.n)
			naive(want, src, testKey, tt.pos)

			dst := make([]byte, tt.n)
			if pos := Copy(dst, src, testKey, tt.pos); pos != tt.want {
				t.Errorf("Copy returned %d, want %d", pos, tt.want)
			}
			if !bytes.Equal(dst, want) {
				t.Errorf("Copy wrote % x, want % x", dst, want)
			}
			if pos := XOR(src, testKey, tt.pos); pos != tt.want {
				t.Errorf("XOR returned %d, want %d", pos, tt.want)
			}
			if !bytes.Equal(src, want) {
				t.Errorf("XOR wrote % x, want % x", src, want)
			}
		})
	}
}

func TestMasksInPieces(t *testing.T) {
	plain := make([]byte, 300)
	noise(plain)
	want := make([]byte, len(plain))
	naive(want, plain, testKey, 0)
	for cut := range plain {
		got := bytes.Clone(plain)
		pos := XOR(got[:cut], testKey, 0)
		XOR(got[cut:], testKey, pos)
		if !bytes.Equal(got, want) {
			t.Fatalf("cut at %d: wrong bytes", cut)
		}
	}
}

func TestCopyOntoItself(t *testing.T) {
	for n := range 600 {
		got := make([]byte, n)
		noise(got)
		want := make([]byte, n)
		naive(want, got, testKey, 1)
		Copy(got, got, testKey, 1)
		if !bytes.Equal(got, want) {
			t.Fatalf("length %d: wrong bytes", n)
		}
	}
}

func TestCopyPanicsWhenDstIsShort(t *testing.T) {
	// The capacity suffices, but the length must not be exceeded.
	dst := make([]byte, 9, 16)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
		if !bytes.Equal(dst[:16], make([]byte, 16)) {
			t.Error("wrote before the panic")
		}
	}()
	Copy(dst, make([]byte, 10), testKey, 0)
}

func TestNoAllocations(t *testing.T) {
	b, dst := make([]byte, 4096), make([]byte, 4096)
	for _, n := range []int{0, 1, 7, 15, 125, 4096} {
		if got := testing.AllocsPerRun(100, func() {
			XOR(b[:n], testKey, 1)
			Copy(dst, b[:n], testKey, 1)
		}); got != 0 {
			t.Errorf("length %d: %v allocations", n, got)
		}
	}
}
