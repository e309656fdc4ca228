package websock

import (
	"crypto/tls"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// still is a transport whose view is given and whose writes go nowhere.
type still struct {
	view []byte
	left []byte
}

func (s *still) View() ([]byte, error) {
	if len(s.left) == 0 {
		return nil, transport.ErrWouldBlock
	}
	return s.left, nil
}
func (s *still) Consume(n int)              { s.left = s.left[n:] }
func (s *still) Read([]byte) (int, error)   { return 0, transport.ErrWouldBlock }
func (s *still) Writev(...[]byte) error     { return nil }
func (s *still) Queued() int                { return 0 }
func (s *still) CloseWrite() error          { return nil }
func (s *still) Linger(time.Duration) error { return nil }
func (s *still) TLS() *tls.ConnectionState  { return nil }
func (s *still) Pause()                     {}
func (s *still) Resume()                    {}
func (s *still) Yield() bool                { return false }

func (s *still) SetReadDeadline(time.Time) error  { return nil }
func (s *still) SetWriteDeadline(time.Time) error { return nil }
func (s *still) LocalAddr() net.Addr              { return nil }
func (s *still) RemoteAddr() net.Addr             { return nil }
func (s *still) Close() error                     { return nil }
func (s *still) Push(transport.Receiver) error    { return nil }

// BenchmarkEcho measures what the engine takes to receive messages and send them back,
// without a transport.
func BenchmarkEcho(b *testing.B) {
	for _, batch := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d of 128 bytes", batch), func(b *testing.B) {
			t := &still{}
			for range batch {
				t.view = engine.AppendHeader(t.view, Header{Fin: true, Opcode: OpBinary, Length: 128})
				t.view = append(t.view, make([]byte, 128)...)
			}
			c := NewConn(t, Client, Options{})
			c.SetHandler(Messages(func(c *Conn, op Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
			r := (*receiver)(c)
			b.ReportAllocs()
			for b.Loop() {
				t.left = t.view
				r.Readable()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batch), "ns/message")
		})
	}
}
