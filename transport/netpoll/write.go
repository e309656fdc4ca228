//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// output is the sending side of a Conn. What the system takes at once is written by the
// caller.
type output struct {
	mu       sync.Mutex   // guards all; held while the descriptor is written to
	fd       int          // open as long as err is nil
	err      error        // why nothing can be sent any more
	queue    buffer.Queue // what nobody has taken yet
	backlog  *backlog     // carries the queue; nil: nothing is queued
	file     *os.File     // of fd, as the runtime's poller has it; nil: nothing was queued yet
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
	bufs, err := socket.Writev(o.fd, bufs)
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

func (o *output) enqueue(bufs [][]byte) {
	for _, p := range bufs {
		o.queue.Append(p)
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
		o.queue.Clear()
		o.shutdown(unix.SHUT_WR)
		o.parked.wake()
	}
	return o.err
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
	n := o.queue.Len()
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
	return socket.Unacknowledged(t.out.fd)
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

// carrySize is how much is written at once, after which Drain is told.
const carrySize = 64 << 10

// A backlog is a goroutine that writes what the system didn't take at once. It waits
// for the peer in the runtime's poller, which knows deadlines. It exists only while the peer
// doesn't read.
type backlog struct {
	inHand int // bytes taken from the queue and not written
}

// carry starts the goroutine. The output's lock is held.
func (t *Conn) carry() error {
	o := &t.out
	if o.file == nil {
		o.file = os.NewFile(uintptr(t.fd), "websock")
	}
	if err := o.file.SetWriteDeadline(o.deadline); err != nil {
		return fmt.Errorf("websock: the system can't wait for the peer: %w", err)
	}
	o.backlog = &backlog{}
	t.fdUses.Add(1)
	go t.carryAll(o.backlog)
	return nil
}

func (t *Conn) carryAll(b *backlog) {
	for t.carryQueue(b) {
	}
	t.releaseFd()
	t.settle()
	err := t.out.failure()
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.broken = err
	t.in.parked.wake()
	t.call() // something may have waited for room
}

// carryQueue writes what is queued, and reports whether there may be more.
func (t *Conn) carryQueue(b *backlog) bool {
	o := &t.out
	o.mu.Lock()
	if o.queue.Len() == 0 {
		o.endBacklog()
		o.mu.Unlock()
		return false
	}
	queue := o.queue
	o.queue, b.inHand = buffer.Queue{}, queue.Len()
	o.mu.Unlock()
	for rest := queue.Bytes(); len(rest) > 0; {
		n, err := o.file.Write(rest[:min(len(rest), carrySize)])
		rest = rest[n:]
		if !o.carried(b, n, err) {
			break
		}
	}
	queue.Clear()
	return true
}

// carried notes that n bytes have left, and reports whether more can.
func (o *output) carried(b *backlog, n int, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	b.inHand -= n
	if err != nil {
		b.inHand = 0
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = os.ErrDeadlineExceeded
		}
		o.fail(err)
	}
	o.parked.wake()
	return o.err == nil
}

// endBacklog closes what a backlog needed, all of which has left. The lock is held.
func (o *output) endBacklog() {
	if o.ending && o.err == nil {
		o.shutdown(unix.SHUT_WR)
	}
	o.backlog = nil
	o.parked.wake()
}
