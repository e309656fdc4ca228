package tls

import "github.com/seed004e8d11/websock/transport"

// Push makes the inner transport call r, which reads through TLS: at once, because the tls.Conn may
// already have read bytes, and then whenever records arrive. It returns transport.ErrUnsupported if
// the inner transport is not a transport.Pusher.
func (c *Conn) Push(r transport.Receiver) error {
	p, ok := c.inner.(transport.Pusher)
	if !ok {
		return transport.ErrUnsupported
	}
	return p.Push(r)
}

// Pause pauses the inner transport. It may be called only after Push has succeeded.
func (c *Conn) Pause() { c.inner.(transport.Pusher).Pause() }

// Resume resumes the inner transport. It may be called only after Push has succeeded.
func (c *Conn) Resume() { c.inner.(transport.Pusher).Resume() }

// Yield makes the inner transport call Readable again after other connections had their turn. That
// call also reads the plaintext of records that the tls.Conn has taken from the inner transport.
func (c *Conn) Yield() bool { return c.inner.(transport.Pusher).Yield() }
