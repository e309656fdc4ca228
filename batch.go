package websock

import (
	"context"
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/transport"
)

// A batchWriter writes the frames of a connection, many at a time. Senders append frames to a
// pending batch under its lock. One goroutine at a time writes a batch, without the lock; frames
// that arrive meanwhile become the next batch, which one of their senders writes when the first
// write has ended. So frames that gather during a write are written together.
//
// A batch is held back under Cork, and while a Handler runs whose goroutine sends. The transport may
// queue what the peer doesn't take; the batchWriter keeps that within Limits.SendQueue.
//
// The lock must be held by callers of all methods. Those with an owner release it while they write
// or wait.
type batchWriter struct {
	mu      sync.Mutex
	t       transport.Conn
	config  *connConfig
	pending *buffer.Buffer // frames encoded and not written; nil: none
	counts  *connCounts    // nil: nothing was counted yet
	rare    *rareState     // nil: nothing was needed of it yet

	seq     uint32 // number of the pending batch
	written uint32 // how many batches were written
	handler uint32 // the goroutine in which a Handler runs; 0: none runs

	state   writerState
	unowned bool // no sender waits for the pending batch
	corked  bool // Cork was called
	refuses bool // a full queue makes a send fail instead of waiting
}

// A writerState says what becomes of a batch.
type writerState uint8

const (
	writerIdle    writerState = iota // its sender writes it
	writerBusy                       // a goroutine writes the last one, or waits for the peer first
	writerStopped                    // nothing more is written: a write has failed, or the connection is over
)

// A batchOwner is the Conn of a batchWriter. Its methods are called with the lock held.
type batchOwner interface {
	// appendPongLocked appends the answer to the remembered ping to the pending batch, if it may be sent
	// now, and reports whether it did.
	appendPongLocked() bool

	// writeFailedLocked is told why nothing more can be written. It calls stop.
	writeFailedLocked(err error)

	// pendingDone returns what calls finishPending.
	pendingDone() transport.WriteDone
}

// gathers reports whether a frame joins others, rather than being written alone.
func (w *batchWriter) gathers() bool { return w.corked || w.handler != 0 }

// heldBack reports whether frames gather until somebody flushes them.
//
// The frames of a Handler do until all bytes that were received are handled, and are then written
// together. A send from another goroutine must not wait for the Handler, which can take its time: it
// writes at once, and writes what has gathered too. Only the goroutine tells which of the two a
// send is, since all use the same Conn. A timer that flushed for a slow Handler would make others
// wait for it, and a write for each send would cost a Handler that answers many messages a system
// call for each.
func (w *batchWriter) heldBack() bool { return w.corked || w.inHandler() }

// inHandler reports whether the caller is in a call of the Handler.
func (w *batchWriter) inHandler() bool { return w.handler != 0 && w.handler == goroutine.ID() }

// grow returns the pending batch with room for size bytes more. A batch that other frames are likely
// to join begins with room for some of them.
func (w *batchWriter) grow(size int) *buffer.Buffer {
	switch {
	case w.pending != nil:
		w.pending.Grow(size)
	case w.gathers():
		w.pending = buffer.Get(max(size, 2<<10))
	default:
		w.pending = buffer.Get(size)
	}
	return w.pending
}

// commit has the pending batch written, by this sender or another, unless it is held back. It
// returns false if it can't be.
func (w *batchWriter) commit(o batchOwner) bool {
	if few := len(w.pending.B) < w.config.limits.SendQueue; few && w.heldBack() {
		return true
	} else if few && w.handler != 0 { // the Handler may wait for this send, which must not wait for the peer
		w.flushHeldBack(o)
		return w.state != writerStopped
	}
	mine := w.seq
	for w.state != writerStopped {
		waiting := !w.isWritten(mine)
		switch {
		case waiting && w.state == writerBusy:
			w.waitForWrite()
		case waiting:
			w.writePending(o)
		default:
			return w.writeUnowned(o)
		}
	}
	return w.isWritten(mine)
}

// isWritten reports whether the batch of that number is written. Numbers wrap.
func (w *batchWriter) isWritten(batch uint32) bool { return int32(w.written-batch) > 0 }

// release writes the pending batch, and a pong that has become due, without waiting: neither
// for another sender's write, which writes both when it is done, nor for the peer. The receiving
// side calls it: two peers that waited for each other to receive would wait forever. If the
// write fails, the next send returns the error.
func (w *batchWriter) flushPending(o batchOwner) {
	if !w.heldBack() {
		w.flushHeldBack(o)
	}
}

// flush is release also of what is held back.
func (w *batchWriter) flushHeldBack(o batchOwner) {
	switch w.state {
	case writerBusy:
		w.unowned = w.unowned || w.pending != nil
	case writerIdle:
		if w.appendPong(o) || w.pending != nil {
			w.writeNonBlocking(o)
		}
	}
}

// writePending writes the pending batch, and the pong that has become due.
func (w *batchWriter) writePending(o batchOwner) {
	b := w.takePending(o)
	w.finishBatch(b, w.write(o, b, b.B, nil))
}

// writeUnowned writes what no sender waits for, so that this one learns whether it could be.
func (w *batchWriter) writeUnowned(o batchOwner) bool {
	for w.state == writerIdle && (w.appendPong(o) || w.unowned) {
		w.writePending(o)
	}
	return w.state != writerStopped
}

// appendPong appends the answer to a ping that is due, and reports whether there was one.
func (w *batchWriter) appendPong(o batchOwner) bool {
	return w.rare != nil && w.rare.ping != nil && o.appendPongLocked()
}

// takePending returns what has gathered, and the pong that has become due.
func (w *batchWriter) takePending(o batchOwner) *buffer.Buffer {
	w.appendPong(o)
	b := w.pending
	w.pending, w.unowned = nil, false
	w.seq++
	return b
}

// finishBatch ends the write of a batch. That the connection may have ended meanwhile is no
// failure of the write.
func (w *batchWriter) finishBatch(b *buffer.Buffer, err error) {
	if err == nil {
		w.written++
	}
	b.Put()
}

// write gives one or two slices to the transport. vec lends the memory for the call.
func (w *batchWriter) write(o batchOwner, vec *buffer.Buffer, first, second []byte) error {
	w.state = writerBusy
	w.mu.Unlock()
	vec.Vec[0] = first
	bufs := vec.Vec[:1]
	if second != nil {
		vec.Vec[1] = second
		bufs = vec.Vec[:2]
	}
	err := w.t.Writev(bufs...)
	w.mu.Lock()
	w.recordWrite(o, len(first)+len(second), err)
	return err
}

// wrote ends a write of n bytes.
func (w *batchWriter) recordWrite(o batchOwner, n int, err error) {
	w.endWrite()
	counts := w.ensureCounts()
	counts.writes++
	counts.wireSent += uint64(n)
	if err != nil {
		o.writeFailedLocked(err)
	}
	w.broadcast()
}

// endWrite lets others write.
func (w *batchWriter) endWrite() {
	if w.state == writerBusy {
		w.state = writerIdle
	}
}

// writeNonBlocking writes the pending batch, which is there, and what is added to it meanwhile,
// without waiting for the peer if the transport can. Nobody else writes.
func (w *batchWriter) writeNonBlocking(o batchOwner) {
	q, ok := w.t.(transport.Queue)
	if !ok || q.Queues() {
		w.writePending(o)
		w.writeUnowned(o)
		return
	}
	w.tryWritePending(o, q)
	for w.state == writerIdle && (w.appendPong(o) || w.unowned) {
		w.tryWritePending(o, q)
	}
}

// tryWritePending writes the pending batch, or leaves the rest of it to the transport, which then calls
// finishPending.
func (w *batchWriter) tryWritePending(o batchOwner, q transport.Queue) {
	b := w.takePending(o)
	w.state = writerBusy
	w.mu.Unlock()
	rest, err := q.TryWrite(b.B)
	w.mu.Lock()
	if rest == nil || err != nil {
		w.recordWrite(o, len(b.B), err)
		w.finishBatch(b, err)
		return
	}
	w.ensureRare().inFlight = b
	rest.Finish(o.pendingDone())
}

// finishPending ends what tryWritePending has begun. The senders of these frames were told that they were
// accepted; so if that was wrong, the end of the connection tells.
func (w *batchWriter) finishPending(o batchOwner, err error) {
	b := w.rare.inFlight
	w.rare.inFlight = nil
	w.recordWrite(o, len(b.B), err)
	w.finishBatch(b, err)
	w.writeUnowned(o)
}

// awaitIdle waits until nobody else writes and all that gathered before is written.
func (w *batchWriter) awaitIdle(o batchOwner) {
	for w.state == writerBusy || w.state == writerIdle && w.pending != nil {
		if w.state == writerBusy {
			w.waitForWrite()
		} else {
			w.writePending(o)
		}
	}
}

// wait waits until a write has ended.
func (w *batchWriter) waitForWrite() {
	rare := w.ensureRare()
	if rare.writeDone == nil {
		rare.writeDone = sync.NewCond(&w.mu)
	}
	rare.writeDone.Wait()
}

// broadcast wakes those who wait for a write to end.
func (w *batchWriter) broadcast() {
	if done := w.rareOrZero().writeDone; done != nil {
		done.Broadcast()
	}
}

// stop makes sure that nothing more is written, and returns the memory of what waits to be.
func (w *batchWriter) stop() {
	w.state = writerStopped
	if w.pending != nil {
		w.pending.Put()
		w.pending = nil
	}
	w.dropPing()
}

// waitForQuota waits until n bytes more may join what waits to be written, or refuses them with a
// *LimitError. The connection may have ended meanwhile.
func (w *batchWriter) waitForQuota(o batchOwner, n int) error {
	switch {
	case w.state == writerIdle && w.t.Queued() == 0:
		return nil
	case !w.refuses:
		w.awaitQuota(o, n)
	case w.queueFull(n):
		return w.errQueueFull()
	}
	return nil
}

// awaitQuota waits until n bytes more may join what waits to be written.
func (w *batchWriter) awaitQuota(o batchOwner, n int) {
	for w.state != writerStopped {
		switch {
		case w.state == writerBusy && w.pending != nil && w.quotaAfter(n) < 0:
			w.waitForWrite()
		case w.state == writerIdle && w.queueFull(n) && w.drain(context.Background(), o, n):
			w.writeUnowned(o) // what comes next may be refused for another reason
		default:
			return
		}
	}
}

// errQueueFull says that there is no room in the queue.
func (w *batchWriter) errQueueFull() error {
	return &LimitError{Limit: "SendQueue", Max: int64(w.config.limits.SendQueue), Code: ClosePolicyViolation, Err: ErrSendQueueFull}
}

// queueFull reports whether so much is queued for the peer that n bytes more are too many.
func (w *batchWriter) queueFull(n int) bool {
	queued := w.t.Queued()
	return queued > 0 && queued > w.quotaAfter(n)
}

// quotaAfter returns how much may be queued for the peer when what is pending and n bytes more have
// joined. It may be negative.
func (w *batchWriter) quotaAfter(n int) int {
	if w.pending != nil {
		n += len(w.pending.B)
	}
	return w.config.limits.SendQueue - n
}

// drain waits until the transport's queue has room for n bytes or is empty, or ctx ends. It reports
// whether it can wait with this transport. Nobody else writes meanwhile, unless sends on this
// connection must not wait.
func (w *batchWriter) drain(ctx context.Context, o batchOwner, n int) bool {
	q, ok := w.t.(transport.Queue)
	if !ok || !q.Queues() {
		return false
	}
	quota, alone := max(w.quotaAfter(n), 0), !w.refuses
	if alone {
		w.state = writerBusy
	}
	w.mu.Unlock()
	err := q.Drain(ctx, quota)
	w.mu.Lock()
	if alone {
		w.endWrite()
	}
	if err != nil && err != ctx.Err() {
		o.writeFailedLocked(err)
	}
	w.broadcast()
	return true
}

// hasRoom reports whether a frame of n bytes can be written or queued now. What is held back is
// written first if that makes room.
func (w *batchWriter) hasRoom(o batchOwner, n int) bool {
	if w.exceedsQueue(n) && w.state == writerIdle && w.pending != nil {
		w.writeNonBlocking(o)
	}
	return !w.exceedsQueue(n)
}

// exceedsQueue reports whether so much waits already that n bytes more are too many.
func (w *batchWriter) exceedsQueue(n int) bool {
	waits := w.queued()
	return (waits > 0 || w.state == writerBusy) && waits > w.config.limits.SendQueue-n
}

// queued returns how many bytes of frames wait in memory, here and in the transport.
func (w *batchWriter) queued() int {
	n := w.t.Queued()
	if w.pending != nil {
		n += len(w.pending.B)
	}
	if inFlight := w.rareOrZero().inFlight; inFlight != nil {
		n += len(inFlight.B)
	}
	return n
}
