package std

import (
	"cmp"
	"context"
	"net"
	"sync"

	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// Writev writes all of bufs, in one system call if the connection underneath supports that. It waits
// until the system has taken them or the write deadline has passed. An error is final.
func (c *Conn) Writev(bufs ...[]byte) error {
	if len(bufs) == 1 {
		_, err := c.conn.Write(bufs[0])
		return c.writeError(err)
	}
	if c.vec == nil {
		c.vec = new(net.Buffers)
	}
	*c.vec = bufs
	_, err := c.vec.WriteTo(c.conn)
	*c.vec = nil
	return c.writeError(err)
}

// writeError returns net.ErrClosed for any error of a write after Close: shutdown may have caused
// it.
func (c *Conn) writeError(err error) error {
	if err != nil && c.isClosed() {
		return net.ErrClosed
	}
	return err
}

// TryWrite writes as much of p as the system takes without waiting, which is nothing if the
// connection has no descriptor and is no Stream. The PendingWrite writes the rest of p, which belongs to it until
// then, in a goroutine.
func (c *Conn) TryWrite(p []byte) (transport.PendingWrite, error) {
	if c.pumpWrites() {
		n, err := c.writeDirectly(p)
		if err != nil || n == len(p) {
			return nil, c.writeError(err)
		}
		p = p[n:]
	}
	if c.stream != nil {
		n, err := c.stream.TryWrite(p)
		if err != nil || n == len(p) {
			return nil, c.writeError(err)
		}
		p = p[n:]
	}
	w := newPendingWrite(c, p)
	var err error
	if c.raw != nil {
		err = c.raw.Write(w.tryWrite)
	}
	if err = cmp.Or(err, w.err); err != nil || len(w.rest) == 0 {
		w.release()
		return nil, c.writeError(err)
	}
	return w, nil
}

// pumpWrites reports whether the Receiver writes, called by a pump that is using the descriptor. Then
// that can't be closed, and needs none of the locks of a syscall.RawConn, unless that has a deadline to
// keep.
func (c *Conn) pumpWrites() bool {
	return c.state.Load()&receiving != 0 && !c.limited.Load() && c.pumpID.Load() == goroutine.ID()
}

// A pendingWrite is a TryWrite in progress, and then its PendingWrite.
type pendingWrite struct {
	c    *Conn
	rest []byte
	err  error // of tryWrite
	done transport.WriteDone

	tryWrite  func(fd uintptr) bool // writeAvailable, and
	writeRest func()                // writeAndRelease, allocated once
}

var pendingWrites sync.Pool

func newPendingWrite(c *Conn, p []byte) *pendingWrite {
	w, ok := pendingWrites.Get().(*pendingWrite)
	if !ok {
		w = &pendingWrite{}
		w.tryWrite, w.writeRest = w.writeAvailable, w.writeAndRelease
	}
	w.c, w.rest = c, p
	return w
}

// Finish writes the rest in a goroutine that waits for the peer, and then calls done.
func (w *pendingWrite) Finish(done transport.WriteDone) {
	w.done = done
	go w.writeRest()
}

func (w *pendingWrite) writeAndRelease() {
	_, err := w.c.conn.Write(w.rest)
	err = w.c.writeError(err)
	done := w.done
	w.release()
	done.Wrote(err)
}

func (w *pendingWrite) release() {
	w.c, w.rest, w.err, w.done = nil, nil, nil, nil
	pendingWrites.Put(w)
}

// Queues returns false: Writev waits for the peer.
func (c *Conn) Queues() bool { return false }

// Queued returns 0: nothing is ever queued.
func (c *Conn) Queued() int { return 0 }

// Drain returns nil: nothing is ever queued.
func (c *Conn) Drain(context.Context, int) error { return nil }

// Unacknowledged returns how many bytes the peer's system has not acknowledged. It returns 0 after
// Close, and if the connection has no descriptor or the system does not know.
func (c *Conn) Unacknowledged() (n int) {
	if c.raw != nil {
		c.raw.Control(func(fd uintptr) { n = socket.Unacknowledged(int(fd)) })
	}
	return n
}
