package tls

// Writev encrypts bufs and gives the records to the transport underneath, in one Writev up
// to 256 KiB. It waits for the peer only if that does. An error is final.
func (c *Conn) Writev(bufs ...[]byte) error {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	c.wire.gather(size)
	err := c.encrypt(bufs)
	if cause := c.wire.flush(); cause != nil {
		return cause
	}
	return err
}

func (c *Conn) encrypt(bufs [][]byte) error {
	for _, p := range bufs {
		if _, err := c.tls.Write(p); err != nil {
			return err
		}
	}
	return nil
}
