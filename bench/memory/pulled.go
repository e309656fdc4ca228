package memory

import (
	"errors"
	"fmt"
	"io"
)

// A link is a connection of a library with a blocking receive call.
type link interface {
	// receive returns a message, which is valid until the next call. At the end of the stream it
	// returns any error.
	receive() ([]byte, error)
	send(p []byte) error
}

// pulled is a client that calls a link.
type pulled struct {
	link
	work Work
}

func (c *pulled) Receive() error { return c.each(func([]byte) error { return nil }) }

func (c *pulled) Reply() error { return c.each(c.send) }

// each calls f with every message.
func (c *pulled) each(f func([]byte) error) error {
	for n := 0; ; n++ {
		p, err := c.receive()
		if err != nil {
			return c.work.result(n, err)
		}
		if err := c.work.check(p); err != nil {
			return err
		}
		if err := f(p); err != nil {
			return err
		}
	}
}

func (c *pulled) Send() error {
	for range c.work.Times {
		if err := c.send(c.work.Payload); err != nil {
			return err
		}
	}
	return nil
}

// check checks the length of a message. Tests check its bytes.
func (w *Work) check(p []byte) error {
	if len(p) != len(w.Payload) {
		return fmt.Errorf("a message of %d bytes instead of %d", len(p), len(w.Payload))
	}
	return nil
}

// result returns the result of the work after n messages and then err.
func (w *Work) result(n int, err error) error {
	if n == w.Times {
		return nil
	}
	return fmt.Errorf("%d messages of %d: %w", n, w.Times, errors.Join(err, io.ErrUnexpectedEOF))
}
