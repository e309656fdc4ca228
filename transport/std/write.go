package std

import (
	"cmp"
	"context"
	"net"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// Writev writes all of bufs, in one system call where the connection can. It
// returns when they are handed over or the write deadline has passed.
func (t *Conn) Writev(bufs ...[]byte) error {
	if len(bufs) == 1 {
		_, err := t.conn.Write(bufs[0])
		return t.writeError(err)
	}
	if t.vec == nil {
		t.vec = new(net.Buffers)
	}
	*t.vec = bufs
	_, err := t.vec.WriteTo(t.conn)
	*t.vec = nil
	return t.writeError(err)
}

// writeError returns what a write has failed with. One that Close has ended may say anything:
// see shutdown.
func (t *Conn) writeError(err error) error {
	if err != nil && t.isClosed() {
		return net.ErrClosed
	}
	return err
}

// TryWrite writes what the system takes at once. A connection without a descriptor can't be
// asked: all of p is left.
func (t *Conn) TryWrite(p []byte) (transport.PendingWrite, error) {
	a := attemptTo(t, p)
	var err error
	if t.raw != nil {
		err = t.raw.Write(a.try)
	}
	if err = cmp.Or(err, a.err); err != nil || len(a.rest) == 0 {
		a.putBack()
		return nil, t.writeError(err)
	}
	return a, nil
}

// Queued returns 0: Writev hands everything over.
func (t *Conn) Queued() int { return 0 }

// Unacknowledged returns how many bytes the peer's system has not acknowledged yet, 0 if the
// connection has no descriptor to ask for.
func (t *Conn) Unacknowledged() (n int) {
	if t.raw != nil {
		t.raw.Control(func(fd uintptr) { n = socket.Unacknowledged(int(fd)) }) // closed: 0
	}
	return n
}

// Queues returns false: Writev waits for the peer.
func (t *Conn) Queues() bool { return false }

// Drain returns nil: nothing is ever queued.
func (t *Conn) Drain(context.Context, int) error { return nil }
