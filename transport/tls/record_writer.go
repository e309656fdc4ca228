package tls

import (
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// ErrKeyUpdates is why a connection ends whose peer keeps requesting key updates (RFC 8446 section
// 4.6.3) without reading the replies, which would accumulate without bound. The errors of receives
// and sends and that of OnClose wrap it.
var ErrKeyUpdates = errors.New("websock: TLS: the peer requests key updates and does not read the replies")

// maxReplies is how many replies may wait for the peer at once. Each takes 27 bytes.
const maxReplies = 512

// maxRecords is how many bytes are borrowed at first for the records of a batch, at most. A batch of
// maxBatch fits.
const maxRecords = 256 << 10

// A recordWriter passes records from a tls.Conn to the inner transport. One goroutine at a time
// writes to the inner transport; records added meanwhile are written after that.
type recordWriter struct {
	inner transport.Conn

	mu         sync.Mutex     // protects what follows. Not held while inner writes
	pending    *buffer.Buffer // records not passed to inner yet; nil: none
	rare       *rareState     // nil: never needed
	err        error          // why nothing more is passed to inner
	writing    uint32         // bytes of the write in progress; 0: none
	sinceReply uint32         // bytes added since the last reply
	replies    atomic.Uint32  // upper bound of the replies that wait for the peer; loaded without mu
	batching   bool           // records wait for flush
	writeEnded bool           // closeWrite was called: records are dropped
	closing    bool           // inner is about to be closed
	lingering  bool           // inner closes itself
}

// rareState is what a recordWriter needs only after the inner transport could not write at once, a
// goroutine had to wait for another's write, or a write deadline was set.
type rareState struct {
	written sync.Cond           // signals the end of a write
	current *buffer.Buffer      // records of a pending write of inner
	done    transport.WriteDone // called when nothing is being written; nil: none

	deadline time.Time // of SetWriteDeadline
	lifted   bool      // inner doesn't have it, as only replies were written since it passed
}

func (w *recordWriter) ensureRareLocked() *rareState {
	if w.rare == nil {
		w.rare = &rareState{}
		w.rare.written.L = &w.mu
	}
	return w.rare
}

// write adds records of a batch, or else writes records that the tls.Conn sends by itself.
func (w *recordWriter) write(records []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.batching {
		w.addLocked(records)
	} else {
		w.replyLocked(records)
	}
}

// beginBatch holds records back until flush. size is the length of their plaintext.
func (w *recordWriter) beginBatch(size int) {
	const overhead = 64 // of one record: all but the first few of a connection have 16 KiB of plaintext
	w.mu.Lock()
	w.restoreDeadlineLocked()
	w.batching = true
	if w.pending == nil {
		w.pending = buffer.Get(min(size+size/16+overhead, maxRecords))
	}
	w.mu.Unlock()
}

// flush passes the batch to inner, and returns the error that prevents writes, if any.
func (w *recordWriter) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batching = false
	w.flushLocked()
	return w.errLocked()
}

// flushBehind is flush by the WriteBehind of inner.
func (w *recordWriter) flushBehind() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batching = false
	if w.err == nil && w.writing == 0 {
		if b := w.takePendingLocked(); b != nil {
			b.Vec[0] = b.B
			w.mu.Unlock()
			err := w.inner.(transport.Batcher).WriteBehind(b.Vec[:1]...)
			w.mu.Lock()
			w.endWriteLocked(b, err)
		}
	}
	w.flushLocked() // what was added meanwhile
	return w.errLocked()
}

// tryFlush is flush without waiting for the peer. What inner does not take at once is the
// PendingWrite.
func (w *recordWriter) tryFlush(q transport.Queue) (transport.PendingWrite, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batching = false
	w.tryFlushLocked(q)
	if w.writing > 0 && w.err == nil {
		return (*pendingWrite)(w), nil
	}
	return nil, w.errLocked()
}

// closeWrite flushes without waiting for the peer, and drops all later records, including the rest
// of another goroutine's batch.
func (w *recordWriter) closeWrite() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeEnded = true
	w.flushWithoutWaitingLocked()
}

// awaitWrite waits at most d for a write in progress, unless inner has queued it and so waits for the
// peer. It reports whether everything has been written.
func (w *recordWriter) awaitWrite(d time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing == 0 || w.inner.Queued() > 0 {
		return w.writing == 0
	}
	late := false
	written := &w.ensureRareLocked().written
	timer := time.AfterFunc(d, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		late = true
		written.Broadcast()
	})
	defer timer.Stop()
	for w.writing > 0 && !late {
		written.Wait()
	}
	return w.writing == 0
}

// beginClose is called before inner is closed. From now on no write is left to a goroutine of
// inner.
func (w *recordWriter) beginClose() {
	w.mu.Lock()
	w.closing = true
	w.mu.Unlock()
}

// beginLinger is called before inner lingers.
func (w *recordWriter) beginLinger() {
	w.mu.Lock()
	w.lingering = true
	w.mu.Unlock()
}

// lingers reports whether inner closes itself.
func (w *recordWriter) lingers() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lingering
}

func (w *recordWriter) errLocked() error {
	if w.err == nil && w.writeEnded {
		return net.ErrClosed
	}
	return w.err
}

// replyLocked writes what the tls.Conn sends by itself: replies to key updates, and alerts. It does
// not wait for the peer, since the goroutine that reads calls it.
func (w *recordWriter) replyLocked(record []byte) {
	if w.err != nil {
		return
	}
	unsent := w.inner.Queued() + int(w.writing)
	if w.pending != nil {
		unsent += len(w.pending.B)
	}
	if unsent <= int(w.sinceReply) { // all of it was added after the last reply, which is sent
		w.replies.Store(0)
	}
	if unsent == 0 {
		w.liftDeadlineLocked()
	}
	w.addLocked(record)
	w.sinceReply = 0
	if w.replies.Add(1) > maxReplies {
		w.err = ErrKeyUpdates
	}
	w.flushWithoutWaitingLocked()
}

// tooManyReplies reports whether err is ErrKeyUpdates. It needs no lock.
func (w *recordWriter) tooManyReplies() bool { return w.replies.Load() > maxReplies }

func (w *recordWriter) addLocked(records []byte) {
	if w.writeEnded || w.err != nil {
		return
	}
	if w.pending == nil {
		w.pending = buffer.Get(len(records))
	}
	w.pending.Grow(len(records))
	w.pending.B = append(w.pending.B, records...)
	w.sinceReply = uint32(min(uint64(w.sinceReply)+uint64(len(records)), math.MaxUint32))
}

// flushLocked passes the pending records to inner when no other goroutine is writing. It unlocks mu
// while it writes or waits.
func (w *recordWriter) flushLocked() {
	for w.err == nil && (w.writing > 0 || w.pending != nil) {
		if w.writing > 0 {
			w.ensureRareLocked().written.Wait()
		} else if b := w.takePendingLocked(); b != nil {
			b.Vec[0] = b.B
			w.mu.Unlock()
			err := w.inner.Writev(b.Vec[:1]...)
			w.mu.Lock()
			w.endWriteLocked(b, err)
		}
	}
	w.completeLocked()
}

// tryFlushLocked is flushLocked without waiting. A goroutine of inner writes what inner does not
// take at once, and the goroutine that is writing also writes what is added meanwhile.
func (w *recordWriter) tryFlushLocked(q transport.Queue) {
	for w.err == nil && w.writing == 0 && w.pending != nil {
		b := w.takePendingLocked()
		if b == nil {
			continue
		}
		w.mu.Unlock()
		rest, err := q.TryWrite(b.B)
		w.mu.Lock()
		switch {
		case err == nil && rest != nil && w.closing:
			w.endWriteLocked(b, net.ErrClosed)
		case err == nil && rest != nil:
			w.ensureRareLocked().current = b
			rest.Finish((*pendingWrite)(w))
		default:
			w.endWriteLocked(b, err)
		}
	}
	w.completeLocked()
}

// flushWithoutWaitingLocked waits neither for the peer, if inner is a Queue, nor for another
// goroutine's write.
func (w *recordWriter) flushWithoutWaitingLocked() {
	if q, ok := w.inner.(transport.Queue); ok {
		w.tryFlushLocked(q)
	} else if w.writing == 0 { // else the goroutine that is writing also writes what is pending
		w.flushLocked()
	}
}

// takePendingLocked begins a write of the pending records. It returns nil if there are none.
func (w *recordWriter) takePendingLocked() *buffer.Buffer {
	b := w.pending
	w.pending = nil
	if len(b.B) == 0 {
		b.Put()
		return nil
	}
	w.writing = uint32(min(uint64(len(b.B)), math.MaxUint32))
	return b
}

func (w *recordWriter) endWriteLocked(b *buffer.Buffer, err error) {
	b.Put()
	w.writing = 0
	if w.err == nil {
		w.err = err
	}
	if w.rare != nil {
		w.rare.written.Broadcast()
	}
}

// completeLocked drops records that can't be written any more, and calls the WriteDone of a
// PendingWrite when everything has been written, or can't be.
func (w *recordWriter) completeLocked() {
	if w.err != nil && w.pending != nil {
		w.pending.Put()
		w.pending = nil
	}
	if w.rare == nil || w.rare.done == nil || w.writing > 0 {
		return
	}
	done, err := w.rare.done, w.err
	w.rare.done = nil
	go done.Wrote(err) // it may wait for the peer
}

// A pendingWrite is a recordWriter during a pending write of inner. It is the Conn's PendingWrite,
// and the WriteDone that inner calls.
type pendingWrite recordWriter

// Finish makes done be called when inner has written the rest.
func (p *pendingWrite) Finish(done transport.WriteDone) {
	w := (*recordWriter)(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ensureRareLocked().done = done
	w.completeLocked() // inner may have finished already
}

// Wrote ends inner's write, and writes what was added meanwhile.
func (p *pendingWrite) Wrote(err error) {
	w := (*recordWriter)(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	b := w.rare.current
	w.rare.current = nil
	w.endWriteLocked(b, err)
	w.flushLocked()
}
