package tls

import (
	"context"
	"net"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// A carrier is the transport underneath. Its Read may be called while its view isn't empty,
// and then takes from that.
type carrier interface {
	engine.Transport
	engine.Pusher
	engine.Pauser
	engine.Lingerer
}

// Push has the transport underneath call r, which reads through TLS: at once, so that what
// the tls.Conn has already is not left, and then whenever records come.
func (c *Conn) Push(r engine.Receiver) error { return c.carrier.Push(r) }

// Pause is that of the transport underneath.
func (c *Conn) Pause() { c.carrier.Pause() }

// Resume is that of the transport underneath.
func (c *Conn) Resume() { c.carrier.Resume() }

// Yield is that of the transport underneath, if it has one. Records that it doesn't show any
// more, since the tls.Conn has them, are read by the Receive that follows.
func (c *Conn) Yield() bool {
	t, ok := c.carrier.(engine.Yielder)
	return ok && t.Yield()
}

// Queued returns how many bytes of records wait in the transport underneath.
func (c *Conn) Queued() int { return c.carrier.Queued() }

// Unacknowledged is that of the transport underneath, if it has one, in bytes of records.
func (c *Conn) Unacknowledged() int {
	if t, ok := c.carrier.(engine.Acknowledger); ok {
		return t.Unacknowledged()
	}
	return 0
}

// Flush is that of the transport underneath.
func (c *Conn) Flush() error { return c.carrier.Flush() }

// Drain waits until at most most bytes of records are queued, if the transport underneath
// queues.
func (c *Conn) Drain(most int) error {
	if drainer, ok := c.carrier.(engine.Drainer); ok {
		return drainer.Drain(most)
	}
	return nil
}

// DrainContext is Drain that returns ctx.Err() when ctx ends before, if the transport
// underneath can do that.
func (c *Conn) DrainContext(ctx context.Context, most int) error {
	if drainer, ok := c.carrier.(engine.ContextDrainer); ok {
		return drainer.DrainContext(ctx, most)
	}
	return c.Drain(most)
}

// Queues reports whether the transport underneath queues.
func (c *Conn) Queues() bool {
	_, queues := c.carrier.(engine.Drainer)
	return queues
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
