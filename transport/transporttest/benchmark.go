package transporttest

import (
	"testing"

	"github.com/seed004e8d11/websock"
)

// Benchmark measures echoes over TCP, pulled and pushed.
func (s Suite) Benchmark(b *testing.B) {
	for _, mode := range []string{"pull", "push"} {
		b.Run(mode, func(b *testing.B) {
			client, server := s.pair(b, "tcp", websock.Limits{})
			go echo(server)
			payload := make([]byte, 128)
			b.ReportAllocs()
			if mode == "pull" {
				buf := make([]byte, 0, 128)
				for b.Loop() {
					client.SendBinary(payload)
					if _, _, err := client.RecvMessage(buf); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				done := make(chan struct{})
				n := 0
				client.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
					if n++; n == b.N {
						close(done)
						return
					}
					c.SendBinary(msg)
				}, nil))
				b.ResetTimer()
				client.SendBinary(payload)
				<-done
			}
			client.Close()
		})
	}
}
