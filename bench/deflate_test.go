package bench

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/seed004e8d11/websock/bench/feed"
	"github.com/seed004e8d11/websock/internal/deflate"
)

// ours uses the history of a connection as it is, without copying it first.
func ours(level, bits int) func(p []byte, h *deflate.History) int {
	d := deflate.NewDeflater(level, bits)
	var out []byte
	return func(p []byte, h *deflate.History) int {
		out = d.Deflate(out[:0], p, h)
		return len(out) - len(deflate.Tail)
	}
}

// klauspost is a shared writer of klauspost/compress. It gets the history as a dictionary before each
// message.
func klauspost(w *flate.Writer, err error) func(p []byte, h *deflate.History) int {
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	var dict []byte
	return func(p []byte, h *deflate.History) int {
		out.Reset()
		dict = h.AppendTo(dict[:0])
		w.ResetDict(&out, dict)
		w.Write(p)
		w.Flush()
		return out.Len() - len(deflate.Tail)
	}
}

// stateless is StatelessDeflate of klauspost/compress, which uses the last 8 KiB of the history.
func stateless() func(p []byte, h *deflate.History) int {
	var out bytes.Buffer
	var dict []byte
	return func(p []byte, h *deflate.History) int {
		out.Reset()
		dict = h.AppendTo(dict[:0])
		flate.StatelessDeflate(&out, p, false, dict)
		return out.Len() - len(deflate.Tail)
	}
}

// BenchmarkDeflate compresses messages with takeover, with compressors that many connections share.
func BenchmarkDeflate(b *testing.B) {
	for _, bits := range []int{11, 15} {
		for _, size := range []int{128, 1 << 10, 16 << 10} {
			for _, level := range []int{1, 3, 6} {
				b.Run(fmt.Sprintf("window=%d/size=%d/level=%d", bits, size, level), func(b *testing.B) {
					messages := feed.Messages(256, size)
					all := map[string]func([]byte, *deflate.History) int{"websock": ours(level, bits)}
					if bits == 15 {
						all["klauspost"] = klauspost(flate.NewWriter(io.Discard, level))
					} else {
						all["klauspost"] = klauspost(flate.NewWriterWindow(io.Discard, 1<<bits))
						all["klauspost-unbounded"] = klauspost(flate.NewWriter(io.Discard, level))
					}
					if level == 1 {
						all["klauspost-stateless"] = stateless()
					}
					var contenders []contender
					for _, name := range []string{"websock", "klauspost", "klauspost-unbounded", "klauspost-stateless"} {
						compress := all[name]
						if compress == nil {
							continue
						}
						h := deflate.NewHistory(bits)
						for _, m := range messages {
							h.Append(m)
						}
						i, sent, total := 0, 0, 0
						contenders = append(contenders, contender{name, func(n int) {
							for range n {
								m := messages[i%len(messages)]
								total += compress(m, &h)
								h.Append(m)
								i++
								sent += size
							}
						}})
						defer func() { b.ReportMetric(float64(total)/float64(sent), "size-"+name) }()
					}
					report(b, contenders...)
				})
			}
		}
	}
}
