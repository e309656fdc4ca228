package tls

import "time"

// SetReadDeadline sets the inner transport's read deadline. A deadline that passes in the middle of
// a record loses nothing.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.inner.SetReadDeadline(t) }

// SetWriteDeadline sets the inner transport's write deadline.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.inner.SetWriteDeadline(t) }

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
