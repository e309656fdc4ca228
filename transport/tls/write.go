package tls

import "github.com/seed004e8d11/websock/engine"

// Writev encrypts bufs and gives the records to the transport underneath, in one Writev up
// to 256 KiB. It waits for the peer only if that does. An error is final.
func (c *Conn) Writev(bufs ...[]byte) error {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	c.wire.gather(size, false)
	err := c.encrypt(bufs)
	if cause := c.wire.flush(); cause != nil {
		return cause
	}
	return err
}

// TryWrite encrypts p and has the transport underneath try to write the records.
func (c *Conn) TryWrite(p []byte) (engine.Rest, error) {
	t, ok := c.carrier.(engine.TryWriter)
	if !ok {
		return nil, c.Writev(p)
	}
	c.wire.gather(len(p), true)
	_, err := c.tls.Write(p)
	rest, cause := c.wire.tryFlush(t)
	if cause != nil {
		return nil, cause
	}
	return rest, err
}

func (c *Conn) encrypt(bufs [][]byte) error {
	for _, p := range bufs {
		if _, err := c.tls.Write(p); err != nil {
			return err
		}
	}
	return nil
}
