//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/sendbuf"
	"github.com/seed004e8d11/websock/transport"
)

// output is the sending side of a Conn. What the system takes at once is written by the
// caller.
type output struct {
	mu       sync.Mutex     // guards all; held while the descriptor is written to
	fd       int            // open as long as err is nil
	err      error          // why nothing can be sent any more
	queue    *buffer.Buffer // what nobody has taken yet
	backlog  *backlog       // carries the queue; nil: nothing is queued
	file     *os.File       // of fd, as the runtime's poller has it; nil: nothing was queued yet
	deadline time.Time
	ending   bool   // CloseWrite was called
	parked   parked // in Drain
}

// Writev writes all of bufs, or queues what the system doesn't take at once. It never
// waits for the peer. After the write deadline it fails with os.ErrDeadlineExceeded.
// A connection that has failed once stays failed.
func (t *Conn) Writev(bufs ...[]byte) error {
	o := &t.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case o.ending:
		return errEnded
	case passed(o.deadline):
		return o.fail(os.ErrDeadlineExceeded)
	case o.backlog != nil:
		o.enqueue(bufs)
		return nil
	}
	bufs, err := o.write(bufs)
	if err != nil {
		return o.fail(err)
	}
	if len(bufs) == 0 {
		return nil
	}
	o.enqueue(bufs)
	if err := t.carry(); err != nil {
		return o.fail(err)
	}
	return nil
}

// errEnded is what the system returns for a write to a stream that has ended.
var errEnded = os.NewSyscallError("write", syscall.EPIPE)

// write writes what the system takes and returns what is left.
func (o *output) write(bufs [][]byte) ([][]byte, error) {
	for len(bufs) > 0 {
		n, err := writeOnce(o.fd, bufs)
		switch {
		case err == unix.EAGAIN:
			return bufs, nil
		case err != nil && err != unix.EINTR:
			return nil, os.NewSyscallError("write", err)
		}
		bufs = skip(bufs, max(n, 0))
	}
	return nil, nil
}

// writeOnce makes one system call. That for a single slice costs less.
func writeOnce(fd int, bufs [][]byte) (int, error) {
	if len(bufs) == 1 {
		return unix.Write(fd, bufs[0])
	}
	return unix.Writev(fd, bufs)
}

// skip drops n bytes, and slices without any.
func skip(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

func (o *output) enqueue(bufs [][]byte) {
	for _, p := range bufs {
		if o.queue == nil {
			o.queue = buffer.Get(len(p))
		} else {
			o.queue.Grow(len(p))
		}
		o.queue.B = append(o.queue.B, p...)
	}
}

// failure returns why nothing can be sent any more, or nil.
func (o *output) failure() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// fail ends sending for good: a part of a frame may be out. The peer sees the end. The lock is
// held.
func (o *output) fail(err error) error {
	if o.err == nil {
		o.err = err
		o.dropQueue()
		o.shutdown(unix.SHUT_WR)
		o.parked.wake()
	}
	return o.err
}

func (o *output) dropQueue() {
	if o.queue != nil {
		o.queue.Put()
		o.queue = nil
	}
}

// shutdown ends one or both directions.
func (o *output) shutdown(how int) error {
	return os.NewSyscallError("shutdown", unix.Shutdown(o.fd, how))
}

// close ends sending. The descriptor isn't used any more.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail(net.ErrClosed)
	o.shutdown(unix.SHUT_RDWR) // also if sending has failed before
}

// Queued returns how many bytes the system hasn't taken yet, and still can take.
func (t *Conn) Queued() int {
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	return t.out.queued()
}

func (o *output) queued() int {
	if o.err != nil {
		return 0
	}
	n := 0
	if o.queue != nil {
		n = len(o.queue.B)
	}
	if o.backlog != nil {
		n += o.backlog.inHand
	}
	return n
}

// Unacknowledged returns how many of the bytes that are not queued any more the peer's system has
// not acknowledged yet.
func (t *Conn) Unacknowledged() int {
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	if t.out.err != nil {
		return 0
	}
	return sendbuf.Unacknowledged(uintptr(t.out.fd))
}

// Queues returns true: Writev never waits.
func (t *Conn) Queues() bool { return true }

// TryWrite is Writev.
func (t *Conn) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, t.Writev(p) }

// Drain waits until at most most bytes are queued or ctx ends. The error is that of the
// connection if it has failed, os.ErrDeadlineExceeded if the write deadline passed, ctx.Err() if
// ctx has ended.
func (t *Conn) Drain(ctx context.Context, most int) error {
	o := &t.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queued() > most && ctx.Done() != nil {
		defer context.AfterFunc(ctx, o.wakeParked)()
	}
	for o.err == nil && o.queued() > most {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.parked.wait(&o.mu)
	}
	return o.err
}

// wakeParked wakes those in Drain, since what they wait with has ended.
func (o *output) wakeParked() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.parked.wake()
}

func (o *output) setDeadline(deadline time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == net.ErrClosed {
		return net.ErrClosed
	}
	o.deadline = deadline
	if o.backlog != nil {
		o.file.SetWriteDeadline(deadline)
	}
	return nil
}
