//go:build linux

package netpoll

import (
	"io"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func BenchmarkAfterBurst(b *testing.B) {
	for _, burst := range []int{0, 64 << 10, 1 << 20, 8 << 20, 32<<20} {
		b.Run("", func(b *testing.B) {
			client, server := sockets(b, "tcp")
			tr := attach(b, client, nil)
			c := engine.NewConn(tr, engine.Options{Role: engine.Client})
			done := make(chan int, 100)
			c.SetHandler(engine.Messages(func(c *engine.Conn, op engine.Opcode, msg []byte) { done <- len(msg) }, nil))
			if burst > 0 {
				h := engine.AppendHeader(nil, engine.Header{Fin: true, Opcode: engine.OpBinary, Length: int64(burst)})
				server.Write(append(h, make([]byte, burst)...))
				<-done
			}
			b.ReportAllocs()
			for b.Loop() {
				io.WriteString(server, "\x81\x05Hello")
				<-done
			}
		})
	}
}
