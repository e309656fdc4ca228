package h2_test

import (
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
)

// Echoes of WebSockets that share a Session.
func BenchmarkEcho(b *testing.B) {
	for _, streams := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			client, _, accepted := carrier{factory: epoll.Transport()}.sessions(b, h2.Config{}, h2.Config{})
			left, running := b.N, streams // of the goroutine that calls the Handlers of the session
			done := make(chan struct{})
			echo := websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendBinary(msg) }, nil)
			count := websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				switch left--; {
				case left >= running:
					c.SendBinary(msg)
				case left == 0:
					close(done)
				}
			}, nil)
			conns := make([]*websock.Conn, streams)
			for i := range conns {
				near, far := open(b, client, accepted)
				server := websock.NewConn(far, websock.Server, websock.Options{})
				server.SetHandler(echo)
				conns[i] = websock.NewConn(near, websock.Client, websock.Options{})
				conns[i].SetHandler(count)
				b.Cleanup(func() { conns[i].Abort(nil); server.Abort(nil) })
			}
			left = max(left, streams)
			payload := make([]byte, 128)
			b.ReportAllocs()
			b.ResetTimer()
			for _, c := range conns {
				c.SendBinary(payload)
			}
			<-done
		})
	}
}
