package bench

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/gobwas/ws"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// headerLengths has payload lengths by header size.
var headerLengths = map[int]int64{2: 125, 4: 1 << 12, 10: 1 << 20}

// BenchmarkParseHeader parses the header of an unmasked frame.
func BenchmarkParseHeader(b *testing.B) {
	for _, size := range []int{2, 4, 10} {
		wire := engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary, Length: headerLengths[size]})
		in := bytes.NewReader(nil)
		room := make([]byte, ws.MaxHeaderSize)
		var sum int64
		for _, c := range []contender{
			{"bound", func(n int) {
				for range n {
					sum += boundParse(wire)
				}
			}},
			{"websock", func(n int) {
				for range n {
					h, _, _ := engine.ParseHeader(wire)
					sum += h.Length
				}
			}},
			{"gobwas", func(n int) {
				for range n {
					in.Reset(wire)
					h, _ := ws.ReadHeaderBuffer(in, room)
					sum += h.Length
				}
			}},
		} {
			one := sum
			c.run(1)
			if sum-one != headerLengths[size] {
				b.Fatalf("%s returns a length of %d", c.name, sum-one)
			}
			c.bench(b, size)
		}
	}
}

// boundParse returns the length in a header and checks nothing.
func boundParse(b []byte) int64 {
	switch b[1] {
	case 126:
		return int64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return int64(binary.BigEndian.Uint64(b[2:]))
	}
	return int64(b[1])
}

// BenchmarkAppendHeader encodes the header of a masked frame.
func BenchmarkAppendHeader(b *testing.B) {
	for _, size := range []int{2, 4, 10} {
		ours := websock.Header{Fin: true, Opcode: websock.OpBinary, Masked: true, Key: key, Length: headerLengths[size]}
		theirs := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: key, Length: headerLengths[size]}
		room := make([]byte, 0, ws.MaxHeaderSize)
		var out bytes.Buffer
		contender{"websock", func(n int) {
			for range n {
				room = engine.AppendHeader(room[:0], ours)
			}
		}}.bench(b, size)
		contender{"gobwas", func(n int) {
			scratch := make([]byte, ws.MaxHeaderSize)
			for range n {
				out.Reset()
				ws.WriteHeaderBuffer(&out, theirs, scratch)
			}
		}}.bench(b, size)
		if !bytes.Equal(room, out.Bytes()) {
			b.Fatalf("% x and % x", room, out.Bytes())
		}
	}
}

// BenchmarkMask masks in place, at an odd address.
func BenchmarkMask(b *testing.B) {
	for _, size := range messageSizes {
		for _, c := range inPlace(size, 1, 0) {
			c.bench(b, size)
		}
	}
}

// bench measures a contender alone, for comparing runs.
func (c contender) bench(b *testing.B, size int) {
	b.Run(fmt.Sprintf("size=%d/by=%s", size, c.name), func(b *testing.B) {
		b.ReportAllocs()
		c.run(b.N)
	})
}
