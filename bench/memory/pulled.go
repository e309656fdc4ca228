package memory

import (
	"errors"
	"fmt"
	"io"
)

// A link is a connection whose owner calls it for each message.
type link interface {
	// receive returns a message, valid until the next call. Its end is any error.
	receive() ([]byte, error)
	send(p []byte) error
}

// pulled is a client whose links are called.
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
			return c.work.judge(n, err)
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

// check reports whether p can be a message of the work. That it is one is for tests to see.
func (w *Work) check(p []byte) error {
	if len(p) != len(w.Payload) {
		return fmt.Errorf("a message of %d bytes instead of %d", len(p), len(w.Payload))
	}
	return nil
}

// judge returns what was wrong when n messages were received, and then err.
func (w *Work) judge(n int, err error) error {
	if n == w.Times {
		return nil
	}
	return fmt.Errorf("%d messages of %d: %w", n, w.Times, errors.Join(err, io.ErrUnexpectedEOF))
}
