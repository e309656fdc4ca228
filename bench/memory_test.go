package bench

import (
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/bench/memory"
)

// messageSizes has sizes of payloads in bytes.
var messageSizes = []int{16, 125, 512, 4 << 10, 64 << 10, 1 << 20}

// BenchmarkReceive receives binary messages, as many at once as fit in one read.
func BenchmarkReceive(b *testing.B) {
	perClient(b, websock.OpBinary, "payload ", false, memory.Client.Receive)
}

// BenchmarkReceiveText receives text, most of which isn't ASCII. Some contestants don't validate it.
func BenchmarkReceiveText(b *testing.B) {
	perClient(b, websock.OpText, "Grüße, 世界! ", false, memory.Client.Receive)
}

// BenchmarkReply receives binary messages one by one and echoes each.
func BenchmarkReply(b *testing.B) {
	perClient(b, websock.OpBinary, "payload ", true, memory.Client.Reply)
}

// BenchmarkSend sends binary messages. Contestants that mask in place change the payload.
func BenchmarkSend(b *testing.B) {
	perClient(b, websock.OpBinary, "payload ", false, memory.Client.Send)
}

// perClient measures work for every size and every contestant that supports it.
func perClient(b *testing.B, op websock.Opcode, text string, oneByOne bool, work func(memory.Client) error) {
	for _, size := range messageSizes {
		payload := repeat(text, size)
		for _, contestant := range memory.Contestants {
			b.Run(fmt.Sprintf("size=%d/by=%s", size, contestant.Name), func(b *testing.B) {
				network := memory.New(op, payload, b.N, oneByOne)
				client, err := contestant.Dial(network, memory.Work{Op: op, Payload: payload, Times: b.N})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.SetBytes(int64(len(payload)))
				b.ResetTimer()
				if err := work(client); err == memory.ErrCannot {
					b.Skip(err)
				} else if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(network.Reads)/float64(b.N), "reads/op")
				b.ReportMetric(float64(network.Writes)/float64(b.N), "writes/op")
			})
		}
	}
}
