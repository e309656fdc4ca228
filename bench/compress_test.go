package bench

import (
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/bench/memory"
)

// BenchmarkCompressedReceive receives compressed messages, as many at once as fit into what a
// client reads.
func BenchmarkCompressedReceive(b *testing.B) { perCompressor(b, memory.Client.Receive) }

// BenchmarkCompressedReply receives them and sends each back, compressed. What a message
// takes on the wire then is written/op.
func BenchmarkCompressedReply(b *testing.B) { perCompressor(b, memory.Client.Reply) }

// perCompressor measures work for every contestant that compresses, all at their fastest
// level, with windows of 32 KiB.
func perCompressor(b *testing.B, work func(memory.Client) error) {
	for _, takeover := range []bool{true, false} {
		wished := websock.Compression{Level: 1, SendTakeover: takeover, RecvTakeover: takeover}
		for _, size := range []int{1 << 10, 16 << 10} {
			messages := feed(256, size)
			for _, contestant := range memory.Contestants {
				if contestant.Compresses == memory.Never || contestant.Compresses == memory.WithoutTakeover && takeover {
					continue
				}
				b.Run(fmt.Sprintf("takeover=%v/size=%d/by=%s", takeover, size, contestant.Name), func(b *testing.B) {
					network := memory.NewCompressed(messages, b.N, takeover, 15)
					client, err := contestant.Dial(network, memory.Work{Op: websock.OpBinary, Payload: messages[0], Times: b.N, Compression: wished})
					if err != nil {
						b.Fatal(err)
					}
					b.ReportAllocs()
					b.SetBytes(int64(size))
					b.ResetTimer()
					if err := work(client); err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(network.Written)/float64(b.N), "written/op")
				})
			}
		}
	}
}
