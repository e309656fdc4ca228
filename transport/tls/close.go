package tls

import (
	"errors"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// Close closes the connection now, as transport.Conn says. A close_notify is sent if that
// doesn't take waiting, neither for the peer nor for a write under way. The error is always
// nil: whatever happens, the connection is closed.
func (c *Conn) Close() error {
	if c.neverWaits() {
		c.wire.prepareClose()
		c.tls.Close()
	}
	c.carrier.Close()
	return nil
}

// neverWaits reports whether the carrier can write without waiting for the peer.
func (c *Conn) neverWaits() bool {
	_, ok := c.carrier.(transport.Queue)
	return ok
}

// CloseWrite ends our direction with a close_notify (RFC 8446 section 6.1), and then that of
// the transport underneath if it can be ended, both behind what is queued. It doesn't wait for
// the peer: a close_notify that can't leave at once is left to the transport underneath.
func (c *Conn) CloseWrite() error {
	left, err := c.closeNotify()
	if left {
		return errors.Join(err, c.carrier.CloseWrite())
	}
	return err
}

// Linger ends our direction with a close_notify and has the transport underneath linger. What
// still comes is discarded as it is, without being decrypted.
func (c *Conn) Linger(d time.Duration) error {
	c.closeNotify() // that it can't be sent shows in lingering, or doesn't matter
	return c.carrier.Linger(d)
}

// closeNotify sends a close_notify behind all that was encrypted, and sees to it that nothing
// follows. It waits neither for the peer nor for a write that does, and reports whether all has
// left.
func (c *Conn) closeNotify() (left bool, err error) {
	err = c.tls.CloseWrite()
	return c.wire.finish(), err
}
