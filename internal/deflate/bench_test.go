package deflate

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"testing"
)

var benchmarkSizes = []int{128, 1 << 10, 16 << 10}

func BenchmarkInflate(b *testing.B) {
	sample := samples()["text"]
	for _, size := range benchmarkSizes {
		h := NewHistory(15)
		stream := NewDeflater(6, 15).Deflate(nil, sample[:size], &h)
		out := make([]byte, size)
		b.Run(fmt.Sprintf("%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			var f Inflater
			for b.Loop() {
				f.Reset()
				if n, _, _, err := f.Inflate(out, stream, &h); n != size || err != nil {
					b.Fatal(n, err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d/standard library", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			in := bytes.NewReader(nil)
			r := flate.NewReader(in)
			for b.Loop() {
				in.Reset(stream)
				r.(flate.Resetter).Reset(in, nil)
				if n, err := io.ReadFull(r, out); n != size || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

func BenchmarkDeflate(b *testing.B) {
	text := samples()["text"]
	for _, size := range benchmarkSizes {
		for _, bits := range []int{11, 15} {
			for _, level := range []int{1, 2, 4, 6, 9} {
				b.Run(fmt.Sprintf("%d/window %d/level %d", size, bits, level), func(b *testing.B) {
					b.SetBytes(int64(size))
					d := NewDeflater(level, bits)
					h := NewHistory(bits)
					var out []byte
					n, total := 0, 0
					for b.Loop() {
						at := (n * 7919) % (len(text) - size)
						p := text[at : at+size]
						out = d.Deflate(out[:0], p, &h)
						h.Append(p)
						total += len(out)
						n++
					}
					b.ReportMetric(float64(total)/float64(n*size), "ratio")
				})
			}
		}
	}
}
