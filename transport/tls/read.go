package tls

import (
	"errors"
	"io"
	"os"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// viewSize is the most plaintext that a record has (RFC 8446 section 5.1).
const viewSize = 16 << 10

// View returns the plaintext that was read. With none there it waits for some, or when
// pushed answers transport.ErrWouldBlock. The end is io.EOF after a close_notify, and
// io.ErrUnexpectedEOF without one.
func (c *Conn) View() ([]byte, error) {
	if len(c.view) == 0 {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	return c.view, nil
}

// Consume drops n bytes of the view, and with the last one its buffer.
func (c *Conn) Consume(n int) {
	c.view = c.view[n:]
	if len(c.view) > 0 {
		return
	}
	c.view = nil
	if c.staging != nil {
		c.staging.Put()
		c.staging = nil
	}
}

// Read decrypts straight into p if the view is empty. It waits and ends as View does.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.view) == 0 {
		return c.read(p)
	}
	n := copy(p, c.view)
	c.Consume(n)
	return n, nil
}

// fill waits for a record with room for one byte, and borrows a buffer for the others when
// it is there.
func (c *Conn) fill() error {
	if _, err := c.read(c.first[:]); err != nil {
		return err
	}
	b := buffer.Get(viewSize)
	b.B = append(b.B, c.first[0])
	c.wire.dry = true
	n, _ := c.read(b.B[1:viewSize]) // an error comes again
	c.wire.dry = false
	c.staging, c.view = b, b.B[:1+n]
	return nil
}

// read is that of the tls.Conn, in the manner of transport.Conn. Errors come after all bytes,
// and but for "not yet" they stay: a tls.Conn would go on after some of them.
func (c *Conn) read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.tls.Read(p)
	switch {
	case c.wire.unread.Load():
		c.err = ErrKeyUpdates
		return 0, c.err
	case err == nil:
	case err != os.ErrDeadlineExceeded:
		c.err = c.end(err)
		err = c.err
	case !c.wire.dry:
		err = c.wire.cause
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// end tells a stream that was cut off from one that the peer has ended. A tls.Conn doesn't,
// where that happens between two records.
func (c *Conn) end(err error) error {
	if err == io.EOF && errors.Is(c.wire.cause, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
