package tls

import (
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// SetReadDeadline sets the inner transport's read deadline. A deadline that passes in the middle of
// a record loses nothing.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.inner.SetReadDeadline(t) }

// SetWriteDeadline sets the inner transport's write deadline. It isn't that of a reply to a key update before
// which nothing waits to be written.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.wire.out.setDeadline(t) }

func (w *recordWriter) setDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rare != nil || !t.IsZero() {
		rare := w.ensureRareLocked()
		rare.deadline, rare.lifted = t, false
	}
	return w.inner.SetWriteDeadline(t)
}

// liftDeadlineLocked removes the write deadline, before a reply that nothing waits before: if the deadline has
// passed, or does before the peer takes the reply, that would fail, and with it all later writes. Writing the
// reply must not wait for the peer.
func (w *recordWriter) liftDeadlineLocked() {
	if w.rare == nil || w.rare.deadline.IsZero() {
		return
	}
	if _, ok := w.inner.(transport.Queue); !ok {
		return
	}
	w.rare.lifted = true
	w.inner.SetWriteDeadline(time.Time{}) // if this fails, so does the write
	if w.inner.Queued() > 0 {             // what was written behind, until now
		w.restoreDeadlineLocked()
	}
}

// restoreDeadlineLocked has the write deadline hold again, for what is being written as well.
func (w *recordWriter) restoreDeadlineLocked() {
	if w.rare != nil && w.rare.lifted {
		w.rare.lifted = false
		w.inner.SetWriteDeadline(w.rare.deadline) // if this fails, so does the write
	}
}

// beginDrain is called before a Drain, which waits for replies, too.
func (w *recordWriter) beginDrain(most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inner.Queued() > most {
		w.restoreDeadlineLocked()
	}
}

// A tls.Conn sets deadlines itself, around its close_notify. They must not reach the inner
// transport, where they would fail what is queued.

func (w *wire) SetDeadline(t time.Time) error {
	if w.moved() {
		return nil
	}
	return w.conn.SetDeadline(t)
}

func (w *wire) SetReadDeadline(t time.Time) error {
	if w.moved() {
		return nil
	}
	return w.conn.SetReadDeadline(t)
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	if w.moved() {
		return nil
	}
	return w.conn.SetWriteDeadline(t)
}
