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

// An output is the sending side of a Conn. The caller of Writev writes what the system takes at
// once; a queueWriter writes the rest.
type output struct {
	mu         sync.Mutex   // of all; held while Writev writes to the descriptor
	fd         int          // open as long as err is nil
	err        error        // why nothing can be sent any more
	queue      buffer.Queue // what the queueWriter has not taken yet
	writer     *queueWriter // nil: nothing is queued
	file       *os.File     // fd in the runtime's poller; nil: nothing was ever queued
	deadline   time.Time
	closeWrite bool     // CloseWrite was called
	changed    lazyCond // for Drain
}

// Writev writes bufs, and queues what the system doesn't take at once. It never waits for the
// peer. After the write deadline it returns os.ErrDeadlineExceeded. An error is final.
func (t *Conn) Writev(bufs ...[]byte) error {
	o := &t.out
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.err != nil:
		return o.err
	case o.closeWrite:
		return errWriteClosed
	case passed(o.deadline):
		return o.failLocked(os.ErrDeadlineExceeded)
	case o.writer != nil:
		o.enqueueLocked(bufs)
		return nil
	}
	bufs, err := socket.Writev(o.fd, bufs)
	if err != nil {
		return o.failLocked(err)
	}
	if len(bufs) == 0 {
		return nil
	}
	o.enqueueLocked(bufs)
	if err := t.startQueueWriterLocked(); err != nil {
		return o.failLocked(err)
	}
	return nil
}

// errWriteClosed is what the system returns for a write after CloseWrite.
var errWriteClosed = os.NewSyscallError("write", syscall.EPIPE)

func (o *output) enqueueLocked(bufs [][]byte) {
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

// failLocked ends sending for good, since a part of a frame may have been sent. The peer sees the
// end of the stream. It returns the first error.
func (o *output) failLocked(err error) error {
	if o.err == nil {
		o.err = err
		o.queue.Clear()
		o.shutdown(unix.SHUT_WR)
		o.changed.broadcast()
	}
	return o.err
}

// shutdown ends one direction of the stream or both.
func (o *output) shutdown(how int) error {
	return os.NewSyscallError("shutdown", unix.Shutdown(o.fd, how))
}

// close ends both directions. The output doesn't use the descriptor any more.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failLocked(net.ErrClosed)
	o.shutdown(unix.SHUT_RDWR) // also if sending has failed before
}

// Queued returns how many bytes the system hasn't taken yet, 0 if it never will.
func (t *Conn) Queued() int {
	t.out.mu.Lock()
	defer t.out.mu.Unlock()
	return t.out.queuedLocked()
}

func (o *output) queuedLocked() int {
	if o.err != nil {
		return 0
	}
	n := o.queue.Len()
	if o.writer != nil {
		n += o.writer.inFlight
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

// Drain waits until at most most bytes are queued or ctx ends. If sending has failed, it returns
// that error, which is os.ErrDeadlineExceeded if the write deadline has passed; if ctx has ended,
// ctx.Err().
func (t *Conn) Drain(ctx context.Context, most int) error {
	o := &t.out
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.queuedLocked() > most && ctx.Done() != nil {
		defer context.AfterFunc(ctx, o.wakeDrains)()
	}
	for o.err == nil && o.queuedLocked() > most {
		if err := ctx.Err(); err != nil {
			return err
		}
		o.changed.wait(&o.mu)
	}
	return o.err
}

// wakeDrains makes calls of Drain check their contexts.
func (o *output) wakeDrains() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.changed.broadcast()
}

// queueWriteSize is how much a queueWriter writes before it wakes calls of Drain.
const queueWriteSize = 64 << 10

// A queueWriter is a goroutine that writes what is queued. It waits for the peer in the runtime's
// poller, which knows deadlines, and exists only while something is queued.
type queueWriter struct {
	inFlight int // bytes taken from the queue and not yet written
}

func (t *Conn) startQueueWriterLocked() error {
	o := &t.out
	if o.file == nil {
		o.file = os.NewFile(uintptr(t.fd), "websock")
	}
	if err := o.file.SetWriteDeadline(o.deadline); err != nil {
		return fmt.Errorf("websock: the system can't wait for the peer: %w", err)
	}
	o.writer = &queueWriter{}
	t.fdRefs.Add(1)
	go t.runQueueWriter(o.writer)
	return nil
}

func (t *Conn) runQueueWriter(w *queueWriter) {
	for t.writeQueue(w) {
	}
	t.releaseFd()
	t.finishLinger()
	err := t.out.failure()
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.sendErr = err
	t.in.changed.broadcast()
	t.scheduleLocked() // the receiver may have waited for room
}

// writeQueue writes what is queued. If nothing is, it ends the queueWriter and returns false.
func (t *Conn) writeQueue(w *queueWriter) bool {
	o := &t.out
	o.mu.Lock()
	if o.queue.Len() == 0 {
		o.endQueueWriterLocked()
		o.mu.Unlock()
		return false
	}
	queue := o.queue
	o.queue, w.inFlight = buffer.Queue{}, queue.Len()
	o.mu.Unlock()
	for rest := queue.Bytes(); len(rest) > 0; {
		n, err := o.file.Write(rest[:min(len(rest), queueWriteSize)])
		rest = rest[n:]
		if !o.wrote(w, n, err) {
			break
		}
	}
	queue.Clear()
	return true
}

// wrote notes that n bytes were written, and reports whether more can be.
func (o *output) wrote(w *queueWriter, n int, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	w.inFlight -= n
	if err != nil {
		w.inFlight = 0
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = os.ErrDeadlineExceeded
		}
		o.failLocked(err)
	}
	o.changed.broadcast()
	return o.err == nil
}

func (o *output) endQueueWriterLocked() {
	if o.closeWrite && o.err == nil {
		o.shutdown(unix.SHUT_WR)
	}
	o.writer = nil
	o.changed.broadcast()
}
