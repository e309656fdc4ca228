package bench

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
	"github.com/seed004e8d11/websock/mask"
)

var (
	key   = [4]byte{0x37, 0xfa, 0x21, 0x3d}
	sizes = []int{1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 31, 32, 64, 125, 128, 200, 256, 512, 1 << 10, 1500, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}
)

// buffers returns two buffers of n bytes, which start alignA and alignB bytes after a
// multiple of 64. Their distance modulo 4096 is 2048, to avoid 4K aliasing: false
// dependencies of loads on stores at a multiple of 4096 bytes.
func buffers(n, alignA, alignB int) (a, b []byte) {
	const page = 4096
	room := make([]byte, 2*n+4*page)
	room = room[(page-int(uintptr(unsafe.Pointer(&room[0])))%page)%page:]
	gap := (n+alignA+page-1)/page*page + page/2
	return room[alignA:][:n], room[gap+alignB:][:n]
}

func inPlace(n, align, pos int) []contender {
	b, dst := buffers(n, align, align)
	return []contender{
		{"XOR", func(n int) {
			for range n {
				mask.XOR(b, key, pos)
			}
		}},
		{"gobwas", func(n int) {
			for range n {
				ws.Cipher(b, key, pos)
			}
		}},
		{"copy", func(n int) {
			for range n {
				copy(dst, b)
			}
		}},
	}
}

// BenchmarkXOR masks in place, and compares with gobwas/ws and a copy.
func BenchmarkXOR(b *testing.B) {
	for _, n := range sizes {
		for _, offset := range []struct{ align, pos int }{{0, 0}, {0, 1}, {1, 0}, {1, 1}} {
			b.Run(fmt.Sprintf("size=%d/align=%d/pos=%d", n, offset.align, offset.pos), func(b *testing.B) {
				report(b, inPlace(n, offset.align, offset.pos)...)
			})
		}
	}
}

// BenchmarkXOREverywhere finds the size, alignment and position with the smallest
// advantage over gobwas/ws. It measures small ratios again, for longer.
func BenchmarkXOREverywhere(b *testing.B) {
	worst, where := math.Inf(1), ""
	for n := 1; n <= 1<<20; n += 1 + n/16 {
		for _, align := range []int{0, 1, 4, 15, 16, 31, 33} {
			for pos := range 4 {
				ratio := measure(b.N, inPlace(n, align, pos)[:2])[1].ratio
				if ratio < 1.1 {
					ratio = measure(20*b.N, inPlace(n, align, pos)[:2])[1].ratio
				}
				if ratio < worst {
					worst, where = ratio, fmt.Sprintf("size=%d/align=%d/pos=%d", n, align, pos)
				}
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(worst, "x-gobwas-at-worst")
	b.Log("smallest ratio at", where)
}

// BenchmarkCopy masks while copying, and compares with a copy.
func BenchmarkCopy(b *testing.B) {
	for _, n := range sizes {
		for _, align := range []struct{ dst, src int }{{0, 0}, {0, 1}, {1, 0}, {6, 16}} {
			b.Run(fmt.Sprintf("size=%d/dst=%d/src=%d", n, align.dst, align.src), func(b *testing.B) {
				dst, src := buffers(n, align.dst, align.src)
				report(b,
					contender{"Copy", func(n int) {
						for range n {
							mask.Copy(dst, src, key, 1)
						}
					}},
					contender{"copy", func(n int) {
						for range n {
							copy(dst, src)
						}
					}},
				)
			})
		}
	}
}

// BenchmarkNewKey makes masking keys.
func BenchmarkNewKey(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mask.NewKey()
	}
}
