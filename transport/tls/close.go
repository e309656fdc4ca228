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
// outgoing stream, if it can be ended, both after what is queued. It does not wait for a peer that
// does not read: if the close_notify can't be written at once, the inner transport writes it later,
// and its stream stays open. It waits at most 50 ms for a write that the inner transport has not
// queued, as std has to where it can't write to sockets without waiting, such as on Windows.
func (c *Conn) CloseWrite() error {
	err := c.closeNotify()
	if c.wire.out.awaitWrite(closeNotifyTimeout) {
		return errors.Join(err, c.inner.CloseWrite())
	}
	return err
}

// closeNotifyTimeout is how long CloseWrite waits for a write in progress, so that a Close that
// follows does not cut it off.
const closeNotifyTimeout = 50 * time.Millisecond

// Linger sends a close_notify and lets the inner transport linger. What still arrives is discarded
// without being decrypted.
func (c *Conn) Linger(d time.Duration) error {
	c.closeNotify() // if it can't be sent, lingering fails too, or it does not matter
	c.wire.out.beginLinger()
	return c.inner.Linger(d)
}

// closeNotify sends a close_notify after everything encrypted so far, and prevents later writes. It
// waits neither for the peer nor for a write in progress.
func (c *Conn) closeNotify() error {
	err := c.tls.CloseWrite()
	c.wire.out.closeWrite()
	return err
}
