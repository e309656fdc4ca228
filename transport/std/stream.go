package std

import (
	"net"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// A Stream is a net.Conn without a descriptor that needs neither a buffer to wait for bytes, nor a
// goroutine to write what the peer has room for, nor one to close: a stream of a QUIC connection, for
// example. New makes use of that.
type Stream interface {
	net.Conn

	// WaitRead waits until Read would return at once, and takes nothing. Its errors are those of Read.
	WaitRead() error

	// TryWrite writes as much of p as doesn't have to wait. An error is final.
	TryWrite(p []byte) (n int, err error)

	// CloseAtOnce says that Close doesn't wait. It does nothing.
	CloseAtOnce()
}

// readStream reads from a Stream until the Receiver is finished or the goroutine is to be replaced. While
// it waits, it holds no buffer, and has the smallest stack.
func (p *pump) readStream() {
	for p.prepareRead() {
		if p.goroutine == used {
			p.goroutine = replaced
			return
		}
		p.yieldProcessor()
		b, n, err := p.c.readStream()
		if n > 0 || !p.isWakeup(err) {
			p.deliver(b, n, err)
		} else {
			b.Put()
		}
	}
}

// readStream waits for bytes of a Stream, and reads them into a buffer that it borrows then.
func (c *Conn) readStream() (b *buffer.Buffer, n int, err error) {
	if err := c.stream.WaitRead(); err != nil {
		return buffer.Get(0), 0, err
	}
	b = buffer.Get(c.nextSize(readSize, fullReadSize))
	n, err = c.readConn(b.B[:cap(b.B)])
	return b, n, err
}
