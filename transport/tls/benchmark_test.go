package tls

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock/transport"
)

// BenchmarkReceive measures receiving one record that an event loop has read, and for comparison
// the tls.Conn's Read alone.
func BenchmarkReceive(b *testing.B) {
	for _, size := range []int{128, 4 << 10, 16 << 10} {
		for _, way := range []string{"tls.Conn", "View"} {
			b.Run(fmt.Sprintf("%d bytes, %s", size, way), func(b *testing.B) {
				client, server := connect(b, tls.VersionTLS13)
				c, m := move(b, client, nil)
				message, into := plaintext(size), make([]byte, maxPlaintext)
				server.Write(make([]byte, 1<<20)) // records grow to their full size
				m.receiver = &drainReceiver{}
				m.view = m.in.take()
				for n := 1; n > 0; {
					n, _ = client.Read(into)
				}
				b.SetBytes(int64(size))
				const batch = 64
				for n := 0; n < b.N; n += batch {
					b.StopTimer()
					var records [][]byte
					for range batch {
						server.Write(message)
						records = append(records, m.in.take())
					}
					b.StartTimer()
					for _, record := range records {
						m.view = record
						if way == "View" {
							receive(c)
						} else {
							for n := 1; n > 0; {
								n, _ = client.Read(into)
							}
						}
					}
				}
			})
		}
	}
}

func receive(c *Conn) {
	for {
		view, err := c.View()
		if err == transport.ErrWouldBlock {
			return
		}
		c.Consume(len(view))
	}
}

// BenchmarkWritev measures writing one message, and the payload of frames behind their headers.
func BenchmarkWritev(b *testing.B) {
	for _, sizes := range [][]int{{128}, {16 << 10}, {128 << 10}, {14, 128 << 10}, {9, 100, 9, 100, 9, 100}, {9, 16 << 10, 9, 16 << 10}} {
		b.Run(fmt.Sprint(sizes), func(b *testing.B) {
			client, _ := connect(b, tls.VersionTLS13)
			c, m := move(b, client, nil)
			c.Writev(make([]byte, 1<<20)) // records grow to their full size
			var bufs [][]byte
			total := 0
			for _, size := range sizes {
				bufs = append(bufs, plaintext(size))
				total += size
			}
			b.SetBytes(int64(total))
			b.ReportAllocs()
			for b.Loop() {
				c.Writev(bufs...)
				m.out.data = m.out.data[:0]
			}
		})
	}
}
