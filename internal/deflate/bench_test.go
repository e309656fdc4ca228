package deflate

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/flate"
)

func BenchmarkInflate(b *testing.B) {
	sample := samples()["text"]
	for _, size := range []int{128, 1024, 16384, 200000} {
		var stream bytes.Buffer
		w, _ := flate.NewWriter(&stream, 5)
		w.Write(sample[:size])
		w.Flush()
		out := make([]byte, size)
		b.Run(fmt.Sprintf("ours/%d", size), func(b *testing.B) {
			b.SetBytes(int64(size))
			var f Inflater
			h := NewHistory(15)
			for b.Loop() {
				f.Reset()
				if n, _, _, err := f.Inflate(out, stream.Bytes(), &h); n != size || err != nil {
					b.Fatal(n, err)
				}
			}
		})
		for name, r := range map[string]io.Reader{"klauspost": flate.NewReader(nil), "standard": stdflate.NewReader(bytes.NewReader(nil))} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(size))
				in := bytes.NewReader(nil)
				for b.Loop() {
					in.Reset(stream.Bytes())
					r.(flate.Resetter).Reset(in, nil)
					if n, err := io.ReadFull(r, out); n != size || err != nil {
						b.Fatal(n, err)
					}
				}
			})
		}
	}
}
