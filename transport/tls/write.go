package tls

import (
	"cmp"

	"github.com/seed004e8d11/websock/transport"
)

// pieceSize is how many bytes of plaintext are encrypted and given to the transport underneath at
// once, at most. Their records fit into gatherSize. Only between pieces may a write wait for the
// peer: within, it keeps the tls.Conn from answering key updates, and so from reading.
const pieceSize = 240 << 10

// Writev encrypts bufs and gives the records to the transport underneath, in one Writev up
// to 240 KiB. It waits for the peer only if that does. An error is final.
func (c *Conn) Writev(bufs ...[]byte) error {
	left := 0
	for _, p := range bufs {
		left += len(p)
	}
	room := pieceSize
	c.wire.gather(min(left, room))
	for _, p := range bufs {
		for len(p) > 0 {
			if room == 0 {
				if err := c.wire.flush(); err != nil {
					return err
				}
				room = pieceSize
				c.wire.gather(min(left, room))
			}
			n := min(len(p), room)
			if _, err := c.tls.Write(p[:n]); err != nil {
				return cmp.Or(c.wire.flush(), err)
			}
			p = p[n:]
			left, room = left-n, room-n
		}
	}
	return c.wire.flush()
}

// TryWrite encrypts p and has the transport underneath try to write the records.
func (c *Conn) TryWrite(p []byte) (transport.PendingWrite, error) {
	q, ok := c.carrier.(transport.Queue)
	if !ok {
		return nil, c.Writev(p)
	}
	c.wire.gather(len(p))
	_, err := c.tls.Write(p)
	rest, cause := c.wire.tryFlush(q)
	if cause != nil {
		return nil, cause
	}
	return rest, err
}
