package tls

import (
	"errors"
	"io"
	"os"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// maxPlaintext is the largest plaintext of a record, in bytes (RFC 8446 section 5.1).
const maxPlaintext = 16 << 10

// View returns plaintext: the early bytes, or that of one record, or what Consume has left of these.
// It belongs to the Conn, and is valid until Consume has taken its last byte. If there is none, View
// waits as transport.Conn says, or returns transport.ErrWouldBlock after Push. It returns io.EOF
// after the peer's close_notify, and io.ErrUnexpectedEOF if the stream ends without one.
func (c *Conn) View() ([]byte, error) {
	if len(c.view) == 0 {
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	return c.view, nil
}

// Consume drops the first n bytes of the view. With the last byte it returns the buffer to the
// pool.
func (c *Conn) Consume(n int) {
	c.view = c.view[n:]
	if len(c.view) > 0 {
		return
	}
	c.view = nil
	if c.viewBuf != nil {
		c.viewBuf.Put()
		c.viewBuf = nil
	}
}

// Read takes bytes from the view or, if that is empty, decrypts a record directly into p. It waits
// as View does, and returns the same errors.
func (c *Conn) Read(p []byte) (int, error) {
	if len(c.view) == 0 {
		return c.read(p)
	}
	n := copy(p, c.view)
	c.Consume(n)
	return n, nil
}

// fill reads a record into the view. It waits with memory for one byte, and borrows a buffer for
// the rest of the record only when the record has arrived.
func (c *Conn) fill() error {
	if _, err := c.read(c.first[:]); err != nil {
		return err
	}
	b := buffer.Get(maxPlaintext)
	b.B = append(b.B, c.first[0])
	c.wire.bufferedOnly = true
	n, _ := c.read(b.B[1:maxPlaintext]) // the next read returns the error again
	c.wire.bufferedOnly = false
	c.viewBuf, c.view = b, b.B[:1+n]
	return nil
}

// read reads from the tls.Conn as transport.Conn requires: it never returns bytes and an error
// together, and every error but "nothing yet" is final, where a tls.Conn would go on after some.
func (c *Conn) read(p []byte) (int, error) {
	if c.readErr != nil {
		return 0, c.readErr
	}
	n, err := c.tls.Read(p)
	switch {
	case c.wire.out.tooManyReplies():
		c.readErr = ErrKeyUpdates
		return 0, c.readErr
	case err == nil:
	case err != os.ErrDeadlineExceeded:
		c.readErr = c.endOfStream(err)
		err = c.readErr
	case !c.wire.bufferedOnly:
		err = c.wire.readErr
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// endOfStream returns io.ErrUnexpectedEOF for an io.EOF without a close_notify. A tls.Conn does not
// distinguish the two between records.
func (c *Conn) endOfStream(err error) error {
	if err == io.EOF && errors.Is(c.wire.readErr, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
