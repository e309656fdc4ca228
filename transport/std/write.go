package std

import "net"

// Writev writes all of bufs, in one system call where the connection can. It
// returns when they are handed over or the write deadline has passed.
func (t *Conn) Writev(bufs ...[]byte) error {
	if len(bufs) == 1 {
		_, err := t.conn.Write(bufs[0])
		return err
	}
	if t.vec == nil {
		t.vec = new(net.Buffers)
	}
	*t.vec = bufs
	_, err := t.vec.WriteTo(t.conn)
	*t.vec = nil
	return err
}

// Queued returns 0: Writev hands everything over.
func (t *Conn) Queued() int { return 0 }

// Flush does nothing: Writev hands everything over.
func (t *Conn) Flush() error { return nil }
