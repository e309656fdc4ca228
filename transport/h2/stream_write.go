package h2

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// errWriteClosed is what a write after CloseWrite returns, as for a socket.
var errWriteClosed error = syscall.EPIPE

// queuedSize is the size of the buffers of what is queued, for all but short payload. A frame can have
// as much.
const queuedSize = longFrame

// errQueue is what a write returns that would queue more than a Stream can count.
var errQueue = errors.New("websock: HTTP/2: more than 2 GiB are queued")

// A streamOutput has what a Stream needs while bytes are queued. It belongs to the lock of the Session.
type streamOutput struct {
	queue   chunks
	trailer []hpack.HeaderField // to be sent after the queue; nil: none
	served  bool                // the stream has had its turn since the queue was empty last
	changed *sync.Cond          // for Drain; nil: no call has waited
	in      *list               // of the ring; nil: none
	prev    *Stream             // in that list
	next    *Stream
}

// queuedLocked returns how many bytes are queued.
func (st *Stream) queuedLocked() int { return int(st.queued.Load()) }

// Writev sends bufs as the windows of the stream and of the connection allow, and queues the rest. It
// never waits. The payload of long messages isn't copied where the carrier can send it at once. The
// errors are net.ErrClosed, os.ErrDeadlineExceeded, *StreamError, *SessionError, and syscall.EPIPE after
// CloseWrite; they are final.
func (st *Stream) Writev(bufs ...[]byte) error {
	size := 0
	for _, p := range bufs {
		size += len(p)
	}
	s := st.s
	s.lock()
	defer s.unlock()
	if err := st.writeErrLocked(); err != nil {
		return err
	}
	if size > math.MaxInt32-st.queuedLocked() {
		st.sendingFailedLocked(errQueue)
		return errQueue
	}
	if st.queuedLocked() == 0 {
		st.flags |= writev
		bufs = s.sendDataLocked(st, bufs, size)
		st.flags &^= writev
		if err := st.endErrLocked(); err != nil { // it has ended while the carrier was writing
			s.commitLocked()
			if len(bufs) == 0 {
				return nil
			}
			return err
		}
	}
	for _, p := range bufs {
		st.enqueueLocked(p)
	}
	s.enlistLocked(st)
	switch {
	case st.queuedLocked() > 0:
		st.scheduleDeadlineLocked()
	case st.has(ending) && st.out != nil && st.out.trailer != nil: // SendHead was called meanwhile
		st.queueSentLocked()
	case st.has(ending): // or CloseWrite
		s.sendEndLocked(st)
	}
	s.commitLocked()
	return nil
}

func (st *Stream) ensureOutput() *streamOutput {
	if st.out == nil {
		st.out = streamOutputs.Get().(*streamOutput)
	}
	return st.out
}

// streamOutputs has those of streams that have nothing queued any more.
var streamOutputs = sync.Pool{New: func() any { return new(streamOutput) }}

func (st *Stream) enqueueLocked(p []byte) {
	if len(p) == 0 {
		return
	}
	st.ensureOutput().queue.add(p, queuedSize)
	st.queued.Add(int32(len(p)))
}

// endErrLocked returns why the stream has ended, or nil.
func (st *Stream) endErrLocked() error {
	switch {
	case st.has(closed):
		return net.ErrClosed
	case st.rare != nil && st.rare.sendErr != nil:
		return st.rare.sendErr
	case st.err != nil && st.err != io.EOF:
		return st.err
	}
	return nil
}

// writeErrLocked returns why nothing can be written, or nil.
func (st *Stream) writeErrLocked() error {
	switch err := st.endErrLocked(); {
	case err != nil:
		return err
	case st.has(ending | localEnded):
		return errWriteClosed
	case st.writeDeadline.Passed():
		st.sendingFailedLocked(os.ErrDeadlineExceeded)
		return os.ErrDeadlineExceeded
	}
	return nil
}

// dequeuedLocked is called when the n oldest bytes were sent.
func (st *Stream) dequeuedLocked(n int) {
	st.queued.Add(-int32(n))
	st.out.broadcast()
}

// dropQueueLocked drops what is queued.
func (st *Stream) dropQueueLocked() {
	if st.out == nil {
		return
	}
	if st.has(enlisted) {
		st.s.out.sending.remove(st)
	}
	queue := st.out.queue
	for i, b := range queue.list {
		if i == 0 && queue.start > 0 { // a frame with its beginning may not be written yet
			st.s.out.retire(b)
		} else {
			b.Put()
		}
	}
	st.out.queue = chunks{}
	st.out.trailer = nil
	st.queued.Store(0)
	st.out.broadcast()
}

// queueSentLocked is called when all that was queued has been sent.
func (st *Stream) queueSentLocked() {
	if o := st.out; o != nil {
		if trailer := o.trailer; trailer != nil {
			o.trailer = nil
			st.s.out.writeHead(st, trailer, true)
			st.s.endSentLocked(st)
			return
		}
		o.served = false
		o.broadcast()
		if o.changed == nil {
			st.out = nil
			*o = streamOutput{queue: chunks{list: o.queue.list}}
			streamOutputs.Put(o)
		}
	}
	st.changedLocked() // the receiver may have waited for room
}

// broadcast wakes calls of Drain.
func (o *streamOutput) broadcast() {
	if o.changed != nil {
		o.changed.Broadcast()
	}
}

// Queues returns true: Writev never waits.
func (st *Stream) Queues() bool { return true }

// TryWrite is Writev.
func (st *Stream) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, st.Writev(p) }

// Queued returns how many bytes of the stream wait for a window, or for their turn. What the Session
// has put into frames isn't counted: it is at most 64 KiB, and 128 KiB more in the carrier.
func (st *Stream) Queued() int { return int(st.queued.Load()) }

// Unacknowledged returns 0: it isn't known.
func (st *Stream) Unacknowledged() int { return 0 }

// Drain waits until at most n bytes are queued or ctx ends. If sending has failed, it returns that
// error, which is os.ErrDeadlineExceeded if the write deadline has passed; if ctx has ended, ctx.Err().
func (st *Stream) Drain(ctx context.Context, n int) error {
	n = max(n, 0)
	s := st.s
	s.lock()
	defer s.unlock()
	if st.queuedLocked() <= n {
		return st.drainErrLocked()
	}
	s.uncorkWaiterLocked()
	if ctx.Done() != nil {
		defer context.AfterFunc(ctx, st.wakeDrains)()
	}
	var timer *time.Timer // fires at the write deadline
	for at := timing.Instant(0); st.queuedLocked() > n; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if st.writeDeadline.Passed() {
			st.sendingFailedLocked(os.ErrDeadlineExceeded)
			break
		}
		if st.writeDeadline != at {
			at = st.writeDeadline
			if timer != nil {
				timer.Stop()
			}
			if at != 0 {
				timer = time.AfterFunc(time.Until(at.Time()), st.wakeDrains)
				defer timer.Stop()
			}
		}
		if st.out.changed == nil {
			st.out.changed = sync.NewCond(&s.mu)
		}
		st.out.changed.Wait()
	}
	return st.drainErrLocked()
}

// drainErrLocked returns why nothing can be sent any more, or nil.
func (st *Stream) drainErrLocked() error {
	switch {
	case st.has(closed):
		return net.ErrClosed
	case st.rare != nil:
		return st.rare.sendErr
	}
	return nil
}

// wakeDrains makes calls of Drain check their contexts and the write deadline.
func (st *Stream) wakeDrains() {
	st.s.mu.Lock()
	defer st.s.mu.Unlock()
	if st.out != nil {
		st.out.broadcast()
	}
}
