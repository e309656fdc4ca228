package tls

import (
	"cmp"
	"context"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// maxBatch is how many bytes of plaintext are encrypted before their records are passed to the
// inner transport. A Writev waits for the peer only between batches, since the tls.Conn is locked
// within one, and could neither reply to key updates nor, therefore, read.
const maxBatch = 240 << 10

// Writev encrypts bufs and passes the records to the inner transport, in one Writev for every 240
// KiB. It waits for the peer only if that Writev does. An error is final.
//
// Neighbouring small elements of bufs share a record, for which they are copied. Whole records of a
// large element are encrypted without a copy.
func (c *Conn) Writev(bufs ...[]byte) error {
	err := c.encrypt(bufs)
	return cmp.Or(c.wire.out.flush(), err)
}

// Batches reports whether the inner transport is a transport.Batcher.
func (c *Conn) Batches() bool {
	b, ok := c.inner.(transport.Batcher)
	return ok && b.Batches()
}

// WriteBehind encrypts bufs and passes the records to the WriteBehind of the inner transport.
func (c *Conn) WriteBehind(bufs ...[]byte) error {
	err := c.encrypt(bufs)
	return cmp.Or(c.wire.out.flushBehind(), err)
}

// encrypt encrypts bufs and, but for the last batch, passes the records to the inner transport.
func (c *Conn) encrypt(bufs [][]byte) error {
	w := recordFiller{c: c, room: maxBatch}
	for _, p := range bufs {
		w.left += len(p)
	}
	c.wire.out.beginBatch(min(w.left, w.room))
	var err error
	for i := 0; i < len(bufs) && err == nil; i++ {
		err = w.add(bufs[i])
	}
	if w.joined != nil {
		w.joined.Put()
	}
	return err
}

// A recordFiller is a Writev under way.
type recordFiller struct {
	c      *Conn
	left   int            // bytes that are not encrypted yet
	room   int            // bytes that the batch can still take
	joined *buffer.Buffer // the beginning of a record, which what follows fills; nil: none yet
}

// add encrypts p, or copies what does not fill a record to the one that is joined.
func (w *recordFiller) add(p []byte) error {
	for len(p) > 0 {
		joined := 0
		if w.joined != nil {
			joined = len(w.joined.B)
		}
		last := w.left == joined+len(p)
		n := len(p)
		switch rest := len(p) % maxPlaintext; {
		case joined == 0 && last:
			return w.encrypt(p)
		case joined == 0 && len(p) >= maxPlaintext:
			n -= rest
			if err := w.encrypt(p[:n]); err != nil {
				return err
			}
		default:
			if n = min(n, maxPlaintext-joined); last && rest < n {
				n = rest // what follows fills records
			}
			if err := w.join(p[:n], last); err != nil {
				return err
			}
		}
		p = p[n:]
	}
	return nil
}

// join adds p to the record that is joined, and encrypts it if it is full or nothing more comes.
func (w *recordFiller) join(p []byte, last bool) error {
	if w.joined == nil {
		w.joined = buffer.Get(min(w.left, maxPlaintext))
	}
	b := w.joined
	b.B = append(b.B, p...)
	if len(b.B) < maxPlaintext && !last {
		return nil
	}
	err := w.encrypt(b.B)
	b.B = b.B[:0]
	return err
}

// encrypt passes the records of p to the batch, and those of a batch that is full to the inner
// transport.
func (w *recordFiller) encrypt(p []byte) error {
	out := &w.c.wire.out
	for len(p) > 0 {
		if w.room == 0 {
			if err := out.flush(); err != nil {
				return err
			}
			w.room = maxBatch
			out.beginBatch(min(w.left, w.room))
		}
		n := min(len(p), w.room)
		if _, err := w.c.tls.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
		w.left, w.room = w.left-n, w.room-n
	}
	return nil
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
		c.wire.out.beginDrain(most)
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
