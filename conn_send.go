package websock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
	"github.com/seed004e8d11/websock/transport"
)

// SendText sends p as one text message (RFC 6455 section 5.6). If p isn't UTF-8, it returns
// ErrInvalidUTF8 and sends nothing. It neither changes nor keeps p. It may be called from any
// goroutine.
//
// Nil means that the frame was given to the transport, or is batched with others: during Cork, in a
// Handler, and from other goroutines while a Handler runs. If a batch can't be written, the next
// send or Flush returns the error, and so does OnClose, unless the peer has sent a close frame.
//
// Errors: ErrFrameOrder inside a fragmented message; a *LimitError if too much is queued for the
// peer, see Limits.WhenFull; a *CloseError after Close or the peer's close frame; a *CloseError
// with CloseAbnormal if a write has failed or its deadline has passed. Later sends return that
// error, too. Receiving continues after a failed write: what the peer has sent, up to its close
// frame, can be received for Limits.CloseTimeout.
func (c *Conn) SendText(p []byte) error { return c.SendFrame(OpText, true, p) }

// SendBinary sends p as one binary message (RFC 6455 section 5.6). See SendText.
func (c *Conn) SendBinary(p []byte) error { return c.SendFrame(OpBinary, true, p) }

// SendPing sends a ping with a payload of at most 125 bytes (RFC 6455 section 5.5.2); if p is
// longer, it returns ErrControlTooLong. Stats counts the pongs. See SendText.
func (c *Conn) SendPing(p []byte) error { return c.SendFrame(OpPing, true, p) }

// SendPong sends an unsolicited pong with a payload of at most 125 bytes, a one-way heartbeat (RFC
// 6455 section 5.5.3); if p is longer, it returns ErrControlTooLong. It isn't needed to answer
// pings. See SendText.
func (c *Conn) SendPong(p []byte) error { return c.SendFrame(OpPong, true, p) }

// SendFrame sends p as one frame. A fragmented message begins with OpText or OpBinary and fin
// false, continues with OpContinuation, and ends with fin true; pings and pongs may be sent in
// between (RFC 6455 section 5.4). Text may be split inside a character. The first fragment that
// can't be part of valid text isn't sent, and ErrInvalidUTF8 is returned. Close frames are sent by
// CloseWith. See SendText.
func (c *Conn) SendFrame(op Opcode, fin bool, p []byte) error {
	return c.sendFrame(nil, op, fin, p)
}

// TrySend sends p as one frame with FIN set and never waits, neither for the peer nor for another
// goroutine that sends. What the system doesn't accept at once, and what is sent while another
// goroutine writes, is queued: up to Limits.SendQueue bytes, whatever Limits.WhenFull is. If there
// is no room, TrySend returns a *LimitError that is ErrSendQueueFull; nothing was sent, and the
// connection continues. If nothing is queued, a message of any size is accepted and copied.
//
// Nil means that the frame was written or queued. If queued bytes can't be written, later sends
// return the error. Other errors are those of SendFrame. TrySend may be called from any goroutine
// and from a Handler. With a transport that isn't a transport.Queue, a write may wait.
func (c *Conn) TrySend(op Opcode, p []byte) error {
	if err := checkText(op, true, p); err != nil {
		return err
	}
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.trySendLocked(op, p)
}

// SendHeartbeat is TrySend for a frame that keeps the connection alive: SetSendDeadline does not set its
// deadline. KeepAlive sends such frames by itself; SendHeartbeat is for programs that decide when.
func (c *Conn) SendHeartbeat(op Opcode, p []byte) error {
	if err := checkText(op, true, p); err != nil {
		return err
	}
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	if err := c.roomErrLocked(len(p)); err != nil {
		return err
	}
	c.batch.liftSendDeadline()
	if err := c.admitLocked(nil, op, true, p); err != nil {
		return err
	}
	return c.sendAdmittedNowLocked(op, p)
}

// SendContext sends p as one frame with FIN set, like TrySend, but waits for room until ctx ends.
// It then returns ctx.Err(); nothing was sent, and the connection continues.
//
// For a frame larger than Limits.SendQueue, SendContext waits until at most that many bytes are
// queued. If ctx ends meanwhile, a part of the frame may have been written. That ends sending, like
// a send deadline: this send and all later ones return a *CloseError with CloseAbnormal that wraps
// ctx.Err().
//
// SendContext may be called from any goroutine. A Handler on an event loop, which can't write while
// the Handler waits, should call TrySend; on the Handler's own connection SendContext is TrySend.
// If sends fail when the queue is full (see Limits.WhenFull), the sends of other goroutines may
// take the room first.
func (c *Conn) SendContext(ctx context.Context, op Opcode, p []byte) error {
	if err := checkText(op, true, p); err != nil {
		return err
	}
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil && c.closing().MaySend() {
		return err
	}
	if w.inHandler() && c.Queues() {
		return c.trySendLocked(op, p)
	}
	waiter := contextWaiter{c: c, ctx: ctx}
	defer waiter.cancel()
	for c.closing().MaySend() && !w.hasRoom(c, len(p)) && waiter.waitLocked(len(p)) {
	}
	if err := ctx.Err(); err != nil && c.closing().MaySend() {
		return err
	}
	batch := w.seq
	if err := c.sendNowLocked(op, p); err != nil || len(p) <= c.limits().SendQueue || c.pendingHeldBackLocked() {
		return err
	}
	for w.state != writerStopped && !c.isTakenLocked(batch) && waiter.waitLocked(0) {
	}
	if err := ctx.Err(); err != nil && w.state != writerStopped && !c.isTakenLocked(batch) {
		c.writeFailedLocked(err)
		w.t.SetWriteDeadline(time.Now()) // ends the current write
		return c.closing().WriteErr()
	}
	return c.batchErrLocked(batch)
}

// Cork holds back what any goroutine sends, until Flush, so that it is written together. A send
// that makes the batch reach Limits.SendQueue bytes writes it, and waits for the peer like any
// other send. Cork must be followed by Flush: pongs are held back, too, and when the batch is full
// only the latest ping is answered.
func (c *Conn) Cork() {
	c.batch.mu.Lock()
	c.batch.corked = true
	c.batch.mu.Unlock()
}

// Flush ends Cork and writes the batch. In a Handler it also writes what the Handler has sent,
// without waiting for the peer. Its errors are those of the sends whose frames it writes.
func (c *Conn) Flush() error {
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.corked = false
	if w.pending != nil && !w.heldBack() && !w.rareOrZero().deadlines.lifted {
		return c.commitLocked()
	}
	if w.pending != nil {
		w.flushHeldBack(c)
	}
	return c.closing().WriteErr()
}

// Drain waits until at most n bytes are queued for the peer, the send deadline has passed, or
// the connection has ended. After a *LimitError for SendQueue, call Drain and then send again.
// Drain doesn't wait for what Cork or a Handler holds back. It may be called from any goroutine,
// but not from a Handler, as it would block the event loop. Its errors are those of a send, even if
// nothing is queued.
func (c *Conn) Drain(n int) error {
	n = max(n, 0)
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Queues() {
		if err := w.drainTransport(context.Background(), n); err != nil {
			c.writeFailedLocked(err)
		}
	}
	last := w.seq // the batch that has what was queued last
	if w.pending == nil {
		last--
	}
	for w.state == writerBusy && !c.Queues() && (w.queued() > n || n == 0 && !w.isWritten(last)) {
		w.waitForWrite() // the size of a batch that a sender writes is not known here
	}
	return c.closing().SendErr()
}

// Queues reports whether the transport queues what the peer doesn't accept at once, as those on
// event loops do. Otherwise a send may wait for the peer, whatever Limits.WhenFull is. Queues may
// be called from any goroutine.
func (c *Conn) Queues() bool { return c.batch.config.queues() }

// sendFrame is SendFrame for a message of the writer from, which may be nil.
func (c *Conn) sendFrame(from *messageWriter, op Opcode, fin bool, p []byte) error {
	if err := checkText(op, fin, p); err != nil {
		return err
	}
	w := &c.batch
	w.mu.Lock()
	if !w.gathers() && fin && c.enc.AcceptsUnfragmented(op) && len(p) <= pieceSize && !c.enc.CompressesMessage(len(p)) &&
		w.writesAlone() {
		err := c.sendAloneLocked(op, p)
		w.mu.Unlock()
		return err
	}
	err := c.sendFrameLocked(from, op, fin, p)
	w.mu.Unlock()
	return err
}

// sendFrameLocked is sendFrame for text that was checked.
func (c *Conn) sendFrameLocked(from *messageWriter, op Opcode, fin bool, p []byte) error {
	w := &c.batch
	if c.enc.Compresses(op, fin, len(p)) {
		return c.sendDeflatedLocked(from, op, fin, p)
	}
	if len(p) > pieceSize {
		return c.sendLargeLocked(from, op, fin, p)
	}
	if w.state != writerIdle || w.t.Queued() > 0 {
		if err := w.waitForQuota(c, len(p)); err != nil {
			return c.quotaErrLocked(err)
		}
	}
	if r := w.rareOrZero(); !r.closing.MaySend() || r.deadlines.lifted || !fin || !c.enc.AcceptsUnfragmented(op) {
		if err := c.acceptLocked(from, op, fin, p); err != nil {
			return err
		}
	}
	w.ensureCounts().countSent(op, fin, len(p))
	c.encodeCountedLocked(op, fin, 0, p)
	return c.commitLocked()
}

// sendAloneLocked sends a message when writesAlone reports true.
func (c *Conn) sendAloneLocked(op Opcode, p []byte) error {
	w := &c.batch
	w.ensureCounts().countSent(op, true, len(p))
	b := buffer.Get(c.enc.FrameSize(len(p)))
	b.B = c.enc.AppendFrame(b.B, c.newKey(b), op, true, 0, p)
	if w.writeAlone(c, b) {
		return nil
	}
	return c.closing().WriteErr()
}

// pieceSize is the largest payload that is written in one piece. A larger one is masked and written
// piece by piece, in the memory of one piece.
const pieceSize = 128 << 10

// checkText returns ErrInvalidUTF8 for an unfragmented text message that isn't UTF-8.
func checkText(op Opcode, fin bool, p []byte) error {
	if op == OpText && fin && !utf8.Valid(p) {
		return ErrInvalidUTF8
	}
	return nil
}

// quotaErrLocked returns the error of a send for which there is no quota. If the connection has
// ended, that is the error.
func (c *Conn) quotaErrLocked(err error) error {
	if !c.closing().MaySend() {
		return c.closing().SendErr()
	}
	return err
}

// acceptLocked checks whether a frame of the writer from, which may be nil, can be sent now. If so,
// the Encoder takes it as sent, and the send deadline holds for it.
func (c *Conn) acceptLocked(from *messageWriter, op Opcode, fin bool, p []byte) error {
	c.batch.beginSend()
	return c.admitLocked(from, op, fin, p)
}

// admitLocked is acceptLocked without the send deadline, also for a frame of the library's own.
func (c *Conn) admitLocked(from *messageWriter, op Opcode, fin bool, p []byte) error {
	if !c.closing().MaySend() {
		return c.closing().SendErr()
	}
	if fin && c.enc.AcceptsUnfragmented(op) {
		return nil
	}
	if op == OpContinuation && !c.mayContinueLocked(from) {
		return c.orderErrLocked()
	}
	if err := c.enc.Accept(op, fin, p); err != nil {
		if err == ErrFrameOrder && op != OpPing && op != OpPong {
			err = c.orderErrLocked()
		}
		return err
	}
	if from != nil && op.IsData() && !(fin && op != OpContinuation) {
		from.op = OpContinuation
	}
	return nil
}

// encodeLocked counts a frame and appends it to the pending batch: it copies and masks the payload
// in one pass.
func (c *Conn) encodeLocked(op Opcode, fin bool, p []byte) {
	c.batch.ensureCounts().countSent(op, fin, len(p))
	c.encodeCountedLocked(op, fin, 0, p)
}

// encodeCountedLocked appends a frame that was counted.
func (c *Conn) encodeCountedLocked(op Opcode, fin bool, rsv uint8, p []byte) {
	b := c.batch.pending
	if size := c.enc.FrameSize(len(p)); b == nil || cap(b.B)-len(b.B) < size {
		b = c.growLocked(size)
	}
	b.B = c.enc.AppendFrame(b.B, c.newKey(b), op, fin, rsv, p)
}

// growLocked is grow of the batchWriter. The Handler's goroutine takes the memory that its last batch
// has left: it belongs to the activeReceive, so other goroutines can't.
func (c *Conn) growLocked(size int) *buffer.Buffer {
	w := &c.batch
	if w.pending != nil || !w.inHandler() {
		return w.grow(size)
	}
	w.pending = c.receive.replies.Get(max(size, gatheredSize))
	return w.pending
}

// newKey returns the masking key for a frame in b (RFC 6455 section 5.3). A server needs none.
func (c *Conn) newKey(b *buffer.Buffer) (key [4]byte) {
	if c.enc.Role() == Client {
		key = b.NewKey()
	}
	return key
}

// commitLocked makes sure that the pending batch is written, unless it is held back.
func (c *Conn) commitLocked() error {
	if c.batch.commit(c) {
		return nil
	}
	return c.closing().WriteErr()
}

// sendDeflatedLocked compresses a frame and sends it. A message that compressing doesn't make
// smaller is sent as it is.
func (c *Conn) sendDeflatedLocked(from *messageWriter, op Opcode, fin bool, p []byte) error {
	w := &c.batch
	if err := w.waitForQuota(c, len(p)); err != nil {
		return c.quotaErrLocked(err)
	}
	most := engine.CompressedBound(len(p))
	if most > pieceSize {
		w.awaitIdle(c)
	}
	if err := c.acceptLocked(from, op, fin, p); err != nil {
		return err
	}
	w.ensureCounts().countSent(op, fin, len(p))
	out := buffer.Get(most)
	defer out.Put()
	rsv, p := c.enc.Compress(out.B, op, fin, p)
	return c.sendAcceptedLocked(op, fin, rsv, p)
}

// sendAcceptedLocked sends a frame that was accepted and counted. If its payload is larger than
// pieceSize, the caller has called awaitIdle.
func (c *Conn) sendAcceptedLocked(op Opcode, fin bool, rsv uint8, p []byte) error {
	if len(p) > pieceSize {
		return c.writePiecesLocked(op, fin, rsv, p)
	}
	c.encodeCountedLocked(op, fin, rsv, p)
	return c.commitLocked()
}

// sendLargeLocked sends a frame that is larger than pieceSize. Nothing else is written until all of
// it is.
func (c *Conn) sendLargeLocked(from *messageWriter, op Opcode, fin bool, p []byte) error {
	w := &c.batch
	if err := w.waitForQuota(c, len(p)); err != nil {
		return c.quotaErrLocked(err)
	}
	w.awaitIdle(c)
	if err := c.acceptLocked(from, op, fin, p); err != nil {
		return err
	}
	w.ensureCounts().countSent(op, fin, len(p))
	return c.writePiecesLocked(op, fin, 0, p)
}

// writePiecesLocked writes a frame piece by piece.
func (c *Conn) writePiecesLocked(op Opcode, fin bool, rsv uint8, p []byte) error {
	w := &c.batch
	b := buffer.Get(engine.MaxHeaderSize + pieceSize)
	defer b.Put()
	h := c.enc.Header(c.newKey(b), op, fin, rsv, len(p))
	b.B = engine.AppendHeader(b.B, h)
	if !h.Masked {
		return c.writeUnmaskedLocked(b, p)
	}
	for pos := 0; len(p) > 0 && w.state != writerStopped; {
		at := len(b.B)
		piece := p[:min(len(p), pieceSize)]
		p = p[len(piece):]
		b.B = b.B[:at+len(piece)]
		pos = mask.Copy(b.B[at:], piece, h.Key, pos)
		w.write(c, b, b.B, nil)
		b.B = b.B[:0]
		if !w.refuses && w.queueFull(len(p)) {
			w.drain(context.Background(), c, len(p))
		}
	}
	return c.writeUnownedLocked()
}

// writeUnmaskedLocked writes a header and an unmasked payload: in one write if the transport queues
// what the peer doesn't accept, and otherwise piece by piece, so that Outgoing reports progress.
func (c *Conn) writeUnmaskedLocked(header *buffer.Buffer, p []byte) error {
	w := &c.batch
	most := 2 * pieceSize
	if c.Queues() {
		most = len(p)
	}
	piece := p[:min(len(p), most)]
	w.write(c, header, header.B, piece)
	for p = p[len(piece):]; len(p) > 0 && w.state != writerStopped; p = p[len(piece):] {
		piece = p[:min(len(p), most)]
		w.write(c, header, piece, nil)
	}
	return c.writeUnownedLocked()
}

// writeUnownedLocked writes the batches that no sender waits for, so that this sender returns their
// error.
func (c *Conn) writeUnownedLocked() error {
	if c.batch.writeUnowned(c) {
		return nil
	}
	return c.closing().WriteErr()
}

// trySendLocked is TrySend for text that was checked.
func (c *Conn) trySendLocked(op Opcode, p []byte) error {
	if err := c.roomErrLocked(len(p)); err != nil {
		return err
	}
	return c.sendNowLocked(op, p)
}

// roomErrLocked returns the error of a send that must not wait if there is no room for n bytes. If the
// connection has ended, it returns nil: that is the error then.
func (c *Conn) roomErrLocked(n int) error {
	if c.closing().MaySend() && !c.batch.hasRoom(c, n) {
		return c.batch.errQueueFull()
	}
	return nil
}

// sendNowLocked writes or queues a frame for which there is room.
func (c *Conn) sendNowLocked(op Opcode, p []byte) error {
	if err := c.acceptLocked(nil, op, true, p); err != nil {
		return err
	}
	return c.sendAdmittedNowLocked(op, p)
}

// sendAdmittedNowLocked is sendNowLocked for a frame that was accepted.
func (c *Conn) sendAdmittedNowLocked(op Opcode, p []byte) error {
	c.batch.ensureCounts().countSent(op, true, len(p))
	rsv := uint8(0)
	if c.enc.Compresses(op, true, len(p)) {
		out := buffer.Get(engine.CompressedBound(len(p)))
		defer out.Put()
		rsv, p = c.enc.Compress(out.B, op, true, p)
	}
	return c.queueNowLocked(op, rsv, p)
}

// queueNowLocked writes or queues a frame that was accepted.
func (c *Conn) queueNowLocked(op Opcode, rsv uint8, p []byte) error {
	w := &c.batch
	c.encodeCountedLocked(op, true, rsv, p)
	batch := w.seq
	switch {
	case c.pendingHeldBackLocked():
	case w.state == writerBusy:
		w.unowned = true
	default:
		w.writeNonBlocking(c)
	}
	return c.batchErrLocked(batch)
}

// pendingHeldBackLocked reports whether there is a pending batch that a flush has to write: one that
// reaches Limits.SendQueue isn't held back.
func (c *Conn) pendingHeldBackLocked() bool {
	w := &c.batch
	return w.pending != nil && len(w.pending.B) < c.limits().SendQueue && w.heldBack()
}

// batchErrLocked returns nil if a batch is or will be written, and otherwise why it can't be.
func (c *Conn) batchErrLocked(batch uint32) error {
	if c.batch.isWritten(batch) {
		return nil
	}
	return c.closing().WriteErr()
}

// isTakenLocked reports whether a batch was given to the transport, and at most Limits.SendQueue
// bytes are queued.
func (c *Conn) isTakenLocked(batch uint32) bool {
	return c.batch.isWritten(batch) && c.batch.t.Queued() <= c.limits().SendQueue
}

// A contextWaiter waits for room in the queue until its context ends.
type contextWaiter struct {
	c    *Conn
	ctx  context.Context
	stop func() bool // nil: the end of ctx doesn't wake the waiter yet
}

// waitLocked waits until the write of another goroutine has ended or the queue may have room for n
// bytes. It returns false if the context has ended, or if this transport doesn't support waiting.
// It releases the lock while it waits.
func (cw *contextWaiter) waitLocked(n int) bool {
	w := &cw.c.batch
	switch {
	case cw.ctx.Err() != nil:
		return false
	case w.state != writerBusy:
		if !w.drain(cw.ctx, cw.c, n) {
			return false
		}
		w.writeUnowned(cw.c) // the caller may return without a write of its own
		return true
	case cw.stop == nil:
		cw.stop = context.AfterFunc(cw.ctx, func() {
			w.mu.Lock()
			w.broadcast()
			w.mu.Unlock()
		})
	}
	w.waitForWrite()
	return true
}

// cancel releases the resources of the waiter.
func (cw *contextWaiter) cancel() {
	if cw.stop != nil {
		cw.stop()
	}
}

// writeFailedLocked ends sending, as a part of a frame may have been written. Receiving continues
// for Limits.CloseTimeout, since the peer's close frame may tell the reason.
func (c *Conn) writeFailedLocked(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("websock: a write did not end in time, a part of a frame may be out: %w", err)
	}
	c.batch.ensureRare().closing.SendFailed(&CloseError{Code: CloseAbnormal, Err: err})
	c.batch.stop()
	c.startCloseTimeoutLocked()
}

// pendingDone returns the WriteDone of a PendingWrite.
func (c *Conn) pendingDone() transport.WriteDone { return (*writeDone)(c) }

// A writeDone is a Conn as a transport.WriteDone.
type writeDone Conn

// Wrote implements transport.WriteDone.
func (d *writeDone) Wrote(err error) {
	c := (*Conn)(d)
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.finishPending(c, err)
}

// refuses reports whether sends fail, rather than wait, when the queue is full.
func (c *Conn) refuses() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.refuses
}

// writesPending reports whether something is being written or queued.
func (c *Conn) writesPending() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.state == writerBusy || c.batch.t.Queued() > 0
}
