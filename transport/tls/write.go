package tls

import (
	"cmp"
	"context"

	"github.com/seed004e8d11/websock/transport"
)

// maxBatch is how many bytes of plaintext are encrypted before their records are passed to the
// inner transport. A Writev waits for the peer only between batches, since the tls.Conn is locked
// within one, and could neither reply to key updates nor, therefore, read.
const maxBatch = 240 << 10

// Writev encrypts bufs and passes the records to the inner transport, in one Writev for every 240
// KiB. It waits for the peer only if that Writev does. An error is final.
func (c *Conn) Writev(bufs ...[]byte) error {
	remaining := 0
	for _, p := range bufs {
		remaining += len(p)
	}
	room := maxBatch
	c.wire.out.beginBatch(min(remaining, room))
	for _, p := range bufs {
		for len(p) > 0 {
			if room == 0 {
				if err := c.wire.out.flush(); err != nil {
					return err
				}
				room = maxBatch
				c.wire.out.beginBatch(min(remaining, room))
			}
			n := min(len(p), room)
			if _, err := c.tls.Write(p[:n]); err != nil {
				return cmp.Or(c.wire.out.flush(), err)
			}
			p = p[n:]
			remaining, room = remaining-n, room-n
		}
	}
	return c.wire.out.flush()
}

// TryWrite encrypts all of p and passes the records to the inner transport's TryWrite. If that
// leaves some, the PendingWrite writes them; p itself is not needed any more. If the inner transport
// is not a transport.Queue, TryWrite waits for the peer.
func (c *Conn) TryWrite(p []byte) (transport.PendingWrite, error) {
	q, ok := c.inner.(transport.Queue)
	if !ok {
		return nil, c.Writev(p)
	}
	c.wire.out.beginBatch(len(p))
	_, err := c.tls.Write(p)
	pending, cause := c.wire.out.tryFlush(q)
	if cause != nil {
		return nil, cause
	}
	return pending, err
}

// Queues reports whether the inner transport queues.
func (c *Conn) Queues() bool {
	q, ok := c.inner.(transport.Queue)
	return ok && q.Queues()
}

// Queued returns how many bytes of records the inner transport has queued.
func (c *Conn) Queued() int { return c.inner.Queued() }

// Drain waits until the inner transport has at most most bytes of records queued, as
// transport.Queue says. It returns nil at once if the inner transport is not a transport.Queue.
func (c *Conn) Drain(ctx context.Context, most int) error {
	if q, ok := c.inner.(transport.Queue); ok {
		return q.Drain(ctx, most)
	}
	return nil
}

// Unacknowledged returns how many bytes of records the peer's system has not acknowledged, or 0 if
// the inner transport is not a transport.Queue.
func (c *Conn) Unacknowledged() int {
	if q, ok := c.inner.(transport.Queue); ok {
		return q.Unacknowledged()
	}
	return 0
}
