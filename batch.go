package websock

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/transport"
)

// A batchWriter writes the frames of a connection in batches. Senders append frames to the pending
// batch. One goroutine at a time writes a batch, without the lock. Frames that are sent meanwhile
// become the next batch, which one of their senders writes when the first write has ended. This way
// frames that are sent during a write are written together.
//
// A batch is held back during Cork, and, for the goroutine of a Handler, while the Handler runs.
// The transport may queue what the peer doesn't accept; the batchWriter keeps the queue within
// Limits.SendQueue.
//
// All methods must be called with mu locked. Those with a parameter of type batchOwner unlock it
// while they write or wait.
type batchWriter struct {
	mu      sync.Mutex
	t       transport.Conn
	config  *connConfig
	pending *buffer.Buffer // encoded frames that were not written, or nil
	counts  *counts        // nil: nothing was counted yet
	rare    *rareState     // nil: was not needed yet

	seq     uint32 // number of the pending batch
	written uint32 // number of batches written

	// handler is the ID of the goroutine on which the Handler runs, or 0. That goroutine sets it without
	// the lock before it calls the Handler, and clears it with the lock.
	handler atomic.Uint32

	state   writerState
	unowned bool // no sender waits for the pending batch
	corked  bool // Cork was called, and not Flush
	refuses bool // a send fails, rather than waits, when the queue is full
}

// A writerState is the state of a batchWriter.
type writerState uint8

const (
	writerIdle    writerState = iota // the next sender writes its batch
	writerBusy                       // a goroutine is writing, or waits for the queue
	writerStopped                    // nothing more is written: a write has failed, or the connection has ended
)

// A batchOwner is the Conn of a batchWriter.
type batchOwner interface {
	// appendPongLocked appends the answer to the latest ping to the pending batch if it may be sent
	// now, and reports whether it did.
	appendPongLocked() bool

	// writeFailedLocked is called with the error of a write. It calls stop.
	writeFailedLocked(err error)

	// pendingDone returns a WriteDone that calls finishPending.
	pendingDone() transport.WriteDone
}

// gathers reports whether frames may be batched at present.
func (w *batchWriter) gathers() bool { return w.corked || w.handler.Load() != 0 }

// heldBack reports whether what the caller sends is held back until a flush.
//
// The frames of a Handler are, until all received bytes are handled. A send from another goroutine
// must not wait for the Handler, which may take long: it writes at once, together with what the
// Handler has sent. As all of them use the same Conn, only the goroutine ID tells them apart. The
// alternatives are worse: with a timer, other sends would wait for the Handler, and with a write
// for each send, a Handler that answers many messages would need a system call for each.
func (w *batchWriter) heldBack() bool { return w.corked || w.inHandler() }

// inHandler reports whether the calling goroutine is the one on which the Handler runs.
func (w *batchWriter) inHandler() bool {
	handler := w.handler.Load()
	return handler != 0 && handler == goroutine.ID()
}

// gatheredSize is the size of a new batch if more frames are likely to follow.
const gatheredSize = 2 << 10

// grow returns the pending batch with room for size more bytes.
func (w *batchWriter) grow(size int) *buffer.Buffer {
	switch {
	case w.pending != nil:
		w.pending.Grow(size)
	case w.gathers():
		w.pending = buffer.Get(max(size, gatheredSize))
	default:
		w.pending = buffer.Get(size)
	}
	return w.pending
}

// commit makes sure that the pending batch is written, by this sender or another, unless it is held
// back. It returns false if the batch can't be written.
func (w *batchWriter) commit(o batchOwner) bool {
	if few := len(w.pending.B) < w.config.limits.SendQueue; few && (w.corked || w.inHandler()) { // heldBack, inlined
		return true
	} else if few && w.handler.Load() != 0 { // the Handler may be waiting for this send, so it must not wait for the peer
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

// writesAlone reports whether a message that is sent now is written at once and alone, if frames aren't
// batched: nothing else is to be written, and the connection is open. Then it need not become the
// pending batch.
func (w *batchWriter) writesAlone() bool {
	return w.state == writerIdle && w.pending == nil && (w.rare == nil || w.rare.allowsAlone()) &&
		(w.config.writes == writesWait || w.t.Queued() == 0)
}

// allowsAlone reports whether no pong is due, messages may be sent, and the send deadline holds.
func (r *rareState) allowsAlone() bool {
	return r.ping == nil && r.closing.MaySend() && !r.deadlines.lifted
}

// writeAlone writes a batch that never was the pending one, and then what no sender waits for. It returns
// false if that can't be written.
func (w *batchWriter) writeAlone(o batchOwner, b *buffer.Buffer) bool {
	mine := w.seq
	w.seq++
	w.writeBatch(o, b, false)
	b.Put()
	switch {
	case w.state == writerStopped:
		return w.isWritten(mine)
	case w.unowned || w.rare != nil:
		return w.writeUnowned(o)
	}
	return true
}

// isWritten reports whether the batch with that number was written. Numbers wrap around.
func (w *batchWriter) isWritten(batch uint32) bool { return int32(w.written-batch) > 0 }

// flushPending writes the pending batch and the pong that is due, unless they are held back. It
// never blocks: if another goroutine is writing, that one writes them. The receiving side calls it,
// and must not wait for the peer to receive: two peers that did would wait forever. If the write
// fails, the next send returns the error.
func (w *batchWriter) flushPending(o batchOwner) {
	if !w.heldBack() {
		w.flushHeldBack(o)
	}
}

// flushHeldBack is flushPending, but also writes what is held back.
func (w *batchWriter) flushHeldBack(o batchOwner) {
	switch w.state {
	case writerBusy:
		w.unowned = w.unowned || w.pending != nil
	case writerIdle:
		if w.appendLonePong(o) || w.pending != nil {
			w.writeNonBlocking(o)
		}
	}
}

// writePending writes the pending batch and the pong that is due.
func (w *batchWriter) writePending(o batchOwner) {
	b := w.takePending(o)
	w.writeBatch(o, b, false)
	b.Put()
}

// writeBatch passes a batch to the transport. With behind, which is for the end of a Readable, a
// transport.Batcher may hold the batch back, to write it together with those of other connections.
func (w *batchWriter) writeBatch(o batchOwner, b *buffer.Buffer, behind bool) {
	w.state = writerBusy
	w.mu.Unlock()
	b.Vec[0] = b.B
	var err error
	if behind && w.config.writes == writesBatch {
		err = w.t.(transport.Batcher).WriteBehind(b.Vec[:1]...)
	} else {
		err = w.t.Writev(b.Vec[:1]...)
	}
	w.mu.Lock()
	w.recordBatch(o, b, err)
}

// writeUnowned writes the batches that no sender waits for, without waiting for the peer if the
// transport supports that. It returns false if they can't be written, so that this sender can return
// the error.
func (w *batchWriter) writeUnowned(o batchOwner) bool {
	for w.state == writerIdle && (w.appendLonePong(o) || w.unowned) {
		if b := w.takePending(o); w.writeWithoutWaiting(o, b, false) {
			b.Put()
		}
	}
	return w.state != writerStopped
}

// appendPong appends the pong that is due, and reports whether there was one.
func (w *batchWriter) appendPong(o batchOwner) bool {
	return w.rare != nil && w.rare.ping != nil && o.appendPongLocked()
}

// appendLonePong is appendPong where no sender waits for the batch.
func (w *batchWriter) appendLonePong(o batchOwner) bool {
	if w.rare == nil || w.rare.ping == nil {
		return false
	}
	w.liftSendDeadline()
	return o.appendPongLocked()
}

// takePending returns the pending batch, with the pong that is due, and begins a new one.
func (w *batchWriter) takePending(o batchOwner) *buffer.Buffer {
	w.appendPong(o)
	b := w.pending
	w.pending, w.unowned = nil, false
	w.seq++
	return b
}

// recordBatch records that the write of a batch has ended with err. It succeeded if err is nil, even
// if the connection has ended meanwhile.
func (w *batchWriter) recordBatch(o batchOwner, b *buffer.Buffer, err error) {
	w.recordWrite(o, len(b.B), err)
	if err == nil {
		w.written++
	}
}

// write passes one or two slices to the transport. It uses vec.Vec during the call.
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
	vec.Vec = [2][]byte{}
	w.mu.Lock()
	w.recordWrite(o, len(first)+len(second), err)
	return err
}

// recordWrite records that a write of n bytes has ended with err.
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

// endWrite lets other goroutines write.
func (w *batchWriter) endWrite() {
	if w.state == writerBusy {
		w.state = writerIdle
	}
}

// writeNonBlocking writes the pending batch, which must not be nil, and what is appended meanwhile.
// It doesn't wait for the peer if the transport supports that. The state must be writerIdle.
func (w *batchWriter) writeNonBlocking(o batchOwner) {
	if b := w.takePending(o); w.writeWithoutWaiting(o, b, false) {
		b.Put()
	}
	w.writeUnowned(o)
}

// writeWithoutWaiting is writeBatch that doesn't wait for the peer if the transport supports that. If
// the system doesn't accept all of the batch, it returns false: the transport writes the rest, and then
// finishPending is called, to which b belongs.
func (w *batchWriter) writeWithoutWaiting(o batchOwner, b *buffer.Buffer, behind bool) (done bool) {
	q, ok := w.t.(transport.Queue)
	if !ok || w.config.queues() {
		w.writeBatch(o, b, behind)
		return true
	}
	w.state = writerBusy
	w.mu.Unlock()
	rest, err := q.TryWrite(b.B)
	w.mu.Lock()
	if rest == nil || err != nil {
		w.recordBatch(o, b, err)
		return true
	}
	w.ensureRare().inFlight = b
	rest.Finish(o.pendingDone())
	return false
}

// finishPending ends a write that writeWithoutWaiting has begun. The senders of these frames have
// returned; an error is returned by later sends.
func (w *batchWriter) finishPending(o batchOwner, err error) {
	b := w.rare.inFlight
	w.rare.inFlight = nil
	w.recordBatch(o, b, err)
	b.Put()
	w.writeUnowned(o)
}

// awaitIdle waits until no goroutine writes and there is no pending batch. It writes pending
// batches itself when it can.
func (w *batchWriter) awaitIdle(o batchOwner) {
	w.beginSend()
	for w.state == writerBusy || w.state == writerIdle && w.pending != nil {
		if w.state == writerBusy {
			w.waitForWrite()
		} else {
			w.writePending(o)
		}
	}
}

// waitForWrite waits until a write has ended.
func (w *batchWriter) waitForWrite() {
	rare := w.ensureRare()
	if rare.writeDone == nil {
		rare.writeDone = sync.NewCond(&w.mu)
	}
	w.beginSend()
	rare.deadlines.waiting++
	rare.writeDone.Wait()
	rare.deadlines.waiting--
}

// broadcast wakes the goroutines in waitForWrite.
func (w *batchWriter) broadcast() {
	if w.rare != nil && w.rare.writeDone != nil {
		w.rare.writeDone.Broadcast()
	}
}

// stop ends all writing, releases the memory of what was not written, and wakes the goroutines that
// wait.
func (w *batchWriter) stop() {
	w.state = writerStopped
	if w.pending != nil {
		w.pending.Put()
		w.pending = nil
	}
	w.dropPing()
	w.broadcast()
}

// waitForQuota waits until n more bytes may be queued, or returns a *LimitError if sends must not
// wait. When it returns, the connection may have ended.
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
			w.writeUnowned(o) // this send may still fail, and not write it
		default:
			return
		}
	}
}

// errQueueFull returns the error of a send for which the queue has no room.
func (w *batchWriter) errQueueFull() error {
	return &LimitError{Limit: "SendQueue", Max: int64(w.config.limits.SendQueue), Code: ClosePolicyViolation, Err: ErrSendQueueFull}
}

// queueFull reports whether the transport's queue has no room for the pending batch and n more
// bytes.
func (w *batchWriter) queueFull(n int) bool {
	queued := w.t.Queued()
	return queued > 0 && queued > w.quotaAfter(n)
}

// quotaAfter returns how many bytes the transport may have queued for the pending batch and n more
// bytes to fit. It may be negative.
func (w *batchWriter) quotaAfter(n int) int {
	if w.pending != nil {
		n += len(w.pending.B)
	}
	return w.config.limits.SendQueue - n
}

// drain waits until the transport's queue has room for the pending batch and n more bytes or is
// empty, or until ctx ends. It returns false if the transport doesn't support that, or if nothing
// more is written. No other goroutine writes meanwhile, except on connections whose sends must not
// wait.
func (w *batchWriter) drain(ctx context.Context, o batchOwner, n int) bool {
	if !w.config.queues() || w.state == writerStopped {
		return false
	}
	quota, alone := max(w.quotaAfter(n), 0), !w.refuses
	if alone {
		w.state = writerBusy
	}
	err := w.drainTransport(ctx, quota)
	if alone {
		w.endWrite()
	}
	if err != nil && err != ctx.Err() {
		o.writeFailedLocked(err)
	}
	w.broadcast()
	return true
}

// drainTransport waits until the transport has at most n bytes queued.
func (w *batchWriter) drainTransport(ctx context.Context, n int) error {
	if w.t.Queued() > n || w.state == writerBusy { // what is being written may be queued
		w.beginSend()
	}
	rare := w.ensureRare()
	rare.deadlines.waiting++
	w.mu.Unlock()
	err := w.t.(transport.Queue).Drain(ctx, n)
	w.mu.Lock()
	rare.deadlines.waiting--
	return err
}

// hasRoom reports whether a frame of n bytes can be written or queued now. If necessary it first
// writes what is held back.
func (w *batchWriter) hasRoom(o batchOwner, n int) bool {
	if w.exceedsQueue(n) && w.state == writerIdle && w.pending != nil {
		w.writeNonBlocking(o)
	}
	return !w.exceedsQueue(n)
}

// exceedsQueue reports whether n more bytes would exceed Limits.SendQueue. An empty queue takes any
// number.
func (w *batchWriter) exceedsQueue(n int) bool {
	waits := w.queued()
	return (waits > 0 || w.state == writerBusy) && waits > w.config.limits.SendQueue-n
}

// queued returns how many bytes of frames are held in memory: by the batchWriter and by the
// transport.
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
