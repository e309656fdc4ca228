package tls

import (
	"context"
	"net"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// Push has the transport underneath call r, which reads through TLS: at once, so that what
// the tls.Conn has already is not left, and then whenever records come. If the transport underneath
// is no transport.Pusher, the error is transport.ErrUnsupported.
func (c *Conn) Push(r transport.Receiver) error {
	p, ok := c.carrier.(transport.Pusher)
	if !ok {
		return transport.ErrUnsupported
	}
	return p.Push(r)
}

// Pause is that of the transport underneath, for which Push has succeeded.
func (c *Conn) Pause() { c.carrier.(transport.Pusher).Pause() }

// Resume is that of the transport underneath, for which Push has succeeded.
func (c *Conn) Resume() { c.carrier.(transport.Pusher).Resume() }

// Yield is that of the transport underneath. Records that it doesn't show any more, since the
// tls.Conn has them, are read by the Readable that follows.
func (c *Conn) Yield() bool { return c.carrier.(transport.Pusher).Yield() }

// Queued returns how many bytes of records wait in the transport underneath.
func (c *Conn) Queued() int { return c.carrier.Queued() }

// Queues reports whether the transport underneath queues.
func (c *Conn) Queues() bool {
	q, ok := c.carrier.(transport.Queue)
	return ok && q.Queues()
}

// Unacknowledged is that of the transport underneath, in bytes of records; 0 if that is no
// transport.Queue.
func (c *Conn) Unacknowledged() int {
	if q, ok := c.carrier.(transport.Queue); ok {
		return q.Unacknowledged()
	}
	return 0
}

// Drain waits until at most most bytes of records are queued in the transport underneath, or ctx
// ends.
func (c *Conn) Drain(ctx context.Context, most int) error {
	if q, ok := c.carrier.(transport.Queue); ok {
		return q.Drain(ctx, most)
	}
	return nil
}

// SetReadDeadline is that of the transport underneath. A deadline that passes within a
// record loses nothing.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.carrier.SetReadDeadline(t) }

// SetWriteDeadline is that of the transport underneath.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.carrier.SetWriteDeadline(t) }

// LocalAddr returns our address, as the transport underneath knows it.
func (c *Conn) LocalAddr() net.Addr { return c.carrier.LocalAddr() }

// RemoteAddr returns the peer's address, as the transport underneath knows it.
func (c *Conn) RemoteAddr() net.Addr { return c.carrier.RemoteAddr() }
