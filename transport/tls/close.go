package tls

import (
	"errors"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// notifyTimeout is how long Close waits for a peer that takes nothing, not even a
// close_notify, where the transport underneath can't queue it.
const notifyTimeout = 50 * time.Millisecond

// Close closes the connection. It tries to send a close_notify. The error is always nil:
// whatever happens, the connection is closed.
func (c *Conn) Close() error {
	c.boundWrites(notifyTimeout)
	c.tls.Close()
	return nil
}

// CloseWrite ends our direction with a close_notify (RFC 8446 section 6.1), and then that of
// the transport underneath if it can be ended, both behind what is queued.
func (c *Conn) CloseWrite() error {
	err := c.closeNotify()
	if carrier, ok := c.carrier.(interface{ CloseWrite() error }); ok {
		return errors.Join(err, carrier.CloseWrite())
	}
	return err
}

// Linger ends our direction with a close_notify and has the transport underneath linger. What
// still comes is discarded as it is, without being decrypted.
func (c *Conn) Linger(d time.Duration) error {
	c.boundWrites(d)
	c.closeNotify() // that it can't be sent shows in lingering, or doesn't matter
	return c.carrier.Linger(d)
}

// closeNotify sends a close_notify behind all that was sent, and sees to it that nothing
// follows.
func (c *Conn) closeNotify() error {
	err := c.tls.CloseWrite()
	c.wire.finish()
	return err
}

// boundWrites keeps a close_notify, and whoever it has to wait for, from blocking for longer
// than d. A carrier that queues blocks nobody.
func (c *Conn) boundWrites(d time.Duration) {
	if _, queues := c.carrier.(engine.Drainer); !queues {
		c.carrier.SetWriteDeadline(time.Now().Add(d)) // if it fails, so does the write
	}
}
