package tls

import (
	"errors"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// Close closes the connection now, as transport.Conn says. It sends a close_notify if it can do so
// without waiting for the peer or for a write in progress. The error is always nil.
func (c *Conn) Close() error {
	if _, ok := c.inner.(transport.Queue); ok {
		c.wire.out.beginClose()
		c.tls.Close()
	}
	c.inner.Close()
	return nil
}

// CloseWrite sends a close_notify (RFC 8446 section 6.1) and then ends the inner transport's
// outgoing stream, if it can be ended, both after what is queued. It does not wait for the peer: if
// the close_notify can't be written at once, the inner transport writes it later, and its stream
// stays open.
func (c *Conn) CloseWrite() error {
	written, err := c.closeNotify()
	if written {
		return errors.Join(err, c.inner.CloseWrite())
	}
	return err
}

// Linger sends a close_notify and lets the inner transport linger. What still arrives is discarded
// without being decrypted.
func (c *Conn) Linger(d time.Duration) error {
	c.closeNotify() // if it can't be sent, lingering fails too, or it does not matter
	c.wire.out.beginLinger()
	return c.inner.Linger(d)
}

// closeNotify sends a close_notify after everything encrypted so far, and prevents later writes. It
// waits neither for the peer nor for a write in progress, and reports whether everything has been
// written.
func (c *Conn) closeNotify() (written bool, err error) {
	err = c.tls.CloseWrite()
	return c.wire.out.closeWrite(), err
}
