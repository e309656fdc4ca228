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

// pieceSize is the size up to which a frame is written at once. A larger one is
// masked and written piece by piece, in the memory of one piece.
const pieceSize = 128 << 10

// SendText sends p as one text message (RFC 6455 section 5.6). p must be UTF-8,
// else ErrInvalidUTF8 is returned and nothing sent. p is not changed, and not
// kept. It may be called from any goroutine.
//
// Nil says that the frame was given to the transport, or that it has joined others that leave
// together: under Cork, and where a Handler sends or runs while another goroutine does. If those
// can't be written, the next send says so, or Flush, and so does OnClose if the peer has sent no
// close frame.
//
// Errors: ErrFrameOrder inside a fragmented message; a *LimitError when too much
// waits for the peer, see Limits.WhenFull; after Close or the peer's close frame a
// *CloseError; after a write failed or its deadline passed, a *CloseError with
// CloseAbnormal, also from every later send. That ends sending only: what the peer has sent, up
// to its close frame, can still be received for Limits.CloseTimeout.
func (c *Conn) SendText(p []byte) error { return c.SendFrame(OpText, true, p) }

// SendBinary sends p as one binary message (RFC 6455 section 5.6). See SendText.
func (c *Conn) SendBinary(p []byte) error { return c.SendFrame(OpBinary, true, p) }

// SendPing sends a ping with at most 125 bytes of payload (RFC 6455 section
// 5.5.2), else ErrControlTooLong. The pong is counted in Stats. See SendText.
func (c *Conn) SendPing(p []byte) error { return c.SendFrame(OpPing, true, p) }

// SendPong sends an unsolicited pong with at most 125 bytes of payload, a
// one-way heartbeat (RFC 6455 section 5.5.3), else ErrControlTooLong. Pings are
// answered without it. See SendText.
func (c *Conn) SendPong(p []byte) error { return c.SendFrame(OpPong, true, p) }

// SendFrame sends p as one frame. A fragmented message begins with OpText or
// OpBinary and fin false, goes on with OpContinuation, and ends with fin true;
// pings and pongs may come between (RFC 6455 section 5.4). Text may be cut inside
// a character, but ErrInvalidUTF8 is returned for the first fragment that can't
// be part of valid text, and that fragment isn't sent. Close frames are sent by
// CloseWith. See SendText.
func (c *Conn) SendFrame(op Opcode, fin bool, p []byte) error {
	return c.sendFrame(nil, op, fin, p)
}

// sendFrame is SendFrame for a message of from, or of no writer if that is nil.
func (c *Conn) sendFrame(from *messageWriter, op Opcode, fin bool, p []byte) error {
	if err := checkText(op, fin, p); err != nil {
		return err
	}
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.enc.Compresses(op, fin, len(p)) {
		return c.sendDeflatedLocked(from, op, fin, p)
	}
	if len(p) > pieceSize {
		return c.sendLargeLocked(from, op, fin, p)
	}
	if err := w.waitForQuota(c, len(p)); err != nil {
		return c.quotaErrLocked(err)
	}
	if err := c.acceptLocked(from, op, fin, p); err != nil {
		return err
	}
	c.encodeLocked(op, fin, p)
	return c.commitLocked()
}

// checkText refuses an unfragmented text message that isn't UTF-8. It needs no
// lock.
func checkText(op Opcode, fin bool, p []byte) error {
	if op == OpText && fin && !utf8.Valid(p) {
		return ErrInvalidUTF8
	}
	return nil
}

// The lock of the batchWriter is held in the functions from here to TrySend, but not while one
// writes or waits.

// quotaErrLocked returns the error of a send for which there is no quota: that the connection has ended
// says more than that its queue is full.
func (c *Conn) quotaErrLocked(err error) error {
	if !c.closing.MaySend() {
		return c.closing.SendErr()
	}
	return err
}

// accept decides whether a frame of from, or of no writer if that is nil, can be sent
// now, and if so counts it as sent.
func (c *Conn) acceptLocked(from *messageWriter, op Opcode, fin bool, p []byte) error {
	if !c.closing.MaySend() {
		return c.closing.SendErr()
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

// encode appends a frame to the pending batch: copied and masked in one pass.
func (c *Conn) encodeLocked(op Opcode, fin bool, p []byte) {
	c.batch.countSent(op, fin, len(p))
	c.encodeCountedLocked(op, fin, 0, p)
}

func (c *Conn) encodeCountedLocked(op Opcode, fin bool, rsv uint8, p []byte) {
	b := c.batch.grow(c.enc.FrameSize(len(p)))
	b.B = c.enc.AppendFrame(b.B, c.newKey(b), op, fin, rsv, p)
}

// newKey returns the masking key of a frame that goes to b (RFC 6455 section 5.3). A server needs
// none.
func (c *Conn) newKey(b *buffer.Buffer) (key [4]byte) {
	if c.enc.Role() == Client {
		key = b.NewKey()
	}
	return key
}

// commit has the pending batch written, unless it is held back.
func (c *Conn) commitLocked() error {
	if c.batch.commit(c) {
		return nil
	}
	return c.closing.WriteErr()
}

// appendPongLocked and the following methods are what the batchWriter needs a batchOwner for.

// writeFailedLocked ends sending for good: a part of a frame may have been written. What the peer has sent is still
// received, since its close frame may say why, but it has little time left.
func (c *Conn) writeFailedLocked(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("websock: a write did not end in time, a part of a frame may be out: %w", err)
	}
	c.closing.SendFailed(&CloseError{Code: CloseAbnormal, Err: err})
	c.batch.stop()
	c.startCloseTimeoutLocked()
}

// pendingDone returns what is told that a PendingWrite is finished.
func (c *Conn) pendingDone() transport.WriteDone { return (*writeDone)(c) }

// A writeDone is a Conn that learns that a PendingWrite is finished.
type writeDone Conn

// Wrote implements transport.WriteDone.
func (d *writeDone) Wrote(err error) {
	c := (*Conn)(d)
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.finishPending(c, err)
}

// sendAcceptedLocked sends a frame that was accepted and counted. If it can be of more than one
// piece, it is this sender's turn.
func (c *Conn) sendAcceptedLocked(op Opcode, fin bool, rsv uint8, p []byte) error {
	if len(p) > pieceSize {
		return c.writePiecesLocked(op, fin, rsv, p)
	}
	c.encodeCountedLocked(op, fin, rsv, p)
	return c.commitLocked()
}

// sendDeflatedLocked sends a frame compressed, or a message as it is that doesn't become smaller.
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
	w.countSent(op, fin, len(p))
	out := buffer.Get(most)
	defer out.Put()
	rsv, p := c.enc.Compress(out.B, op, fin, p)
	return c.sendAcceptedLocked(op, fin, rsv, p)
}

// sendLargeLocked sends a frame of more than one piece. Nobody else writes until all of
// it is written.
func (c *Conn) sendLargeLocked(from *messageWriter, op Opcode, fin bool, p []byte) error {
	w := &c.batch
	if err := w.waitForQuota(c, len(p)); err != nil {
		return c.quotaErrLocked(err)
	}
	w.awaitIdle(c)
	if err := c.acceptLocked(from, op, fin, p); err != nil {
		return err
	}
	w.countSent(op, fin, len(p))
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

// writeUnmaskedLocked writes a header and a payload as it is: at once where the transport queues what
// the peer doesn't take, else piece by piece, so that the counts tell how far the peer has come.
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

// writeUnowned writes what no sender waits for, so that this one is told if that fails.
func (c *Conn) writeUnownedLocked() error {
	if c.batch.writeUnowned(c) {
		return nil
	}
	return c.closing.WriteErr()
}

// TrySend sends p as one frame with FIN set and never waits: neither for the peer nor for
// another goroutine that sends. What the system doesn't take at once, and what comes while
// another goroutine writes, is queued, up to Limits.SendQueue bytes whatever Limits.WhenFull
// says. Without room it returns a *LimitError for which errors.Is(err, ErrSendQueueFull) holds:
// nothing was sent, and the connection goes on. A message of any size is accepted when nothing
// waits; it is copied whole.
//
// Nil says that the frame was written or queued. If queued bytes can't be written, later sends
// say so. Other errors are those of SendFrame. It may be called from any goroutine, also from a
// Handler. Over a transport that is no transport.Queue, a write can wait.
func (c *Conn) TrySend(op Opcode, p []byte) error {
	if err := checkText(op, true, p); err != nil {
		return err
	}
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.trySendLocked(op, p)
}

// trySendLocked is TrySend of text that was checked. The lock is held.
func (c *Conn) trySendLocked(op Opcode, p []byte) error {
	if c.closing.MaySend() && !c.batch.hasRoom(c, len(p)) {
		return c.batch.errQueueFull()
	}
	return c.sendNowLocked(op, p)
}

// SendContext sends p as one frame with FIN set, as TrySend does, but waits for room until ctx
// ends. Then it returns ctx.Err(): nothing was sent, and the connection goes on.
//
// A frame of more than Limits.SendQueue bytes isn't left to the queue: SendContext waits until
// no more than that is queued. If ctx ends meanwhile, a part of the frame may be out. That ends
// the connection, as a send deadline does: this send and all later ones return a *CloseError
// with CloseAbnormal and ctx.Err() in its chain.
//
// It may be called from any goroutine. A Handler on an event loop, which can't write as long as
// the Handler waits, should use TrySend; on its own connection that is what SendContext does
// there. Where sends fail rather than wait, see Limits.WhenFull, those of others may take the room
// first.
func (c *Conn) SendContext(ctx context.Context, op Opcode, p []byte) error {
	if err := checkText(op, true, p); err != nil {
		return err
	}
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := ctx.Err(); err != nil && c.closing.MaySend() {
		return err
	}
	if w.inHandler() && c.Queues() {
		return c.trySendLocked(op, p)
	}
	waiter := contextWaiter{c: c, ctx: ctx}
	defer waiter.cancel()
	for c.closing.MaySend() && !w.hasRoom(c, len(p)) && waiter.waitLocked(len(p)) {
	}
	if err := ctx.Err(); err != nil && c.closing.MaySend() {
		return err
	}
	batch := w.seq
	if err := c.sendNowLocked(op, p); err != nil || len(p) <= c.limits().SendQueue {
		return err
	}
	for w.state != writerStopped && !c.isTakenLocked(batch) && waiter.waitLocked(0) {
	}
	if err := ctx.Err(); err != nil && w.state != writerStopped && !c.isTakenLocked(batch) {
		c.writeFailedLocked(err)
		w.t.SetWriteDeadline(time.Now()) // ends the write under way
		return c.closing.WriteErr()
	}
	return c.batchErrLocked(batch)
}

// sendNowLocked writes or queues a frame for which there is room. The lock is held.
func (c *Conn) sendNowLocked(op Opcode, p []byte) error {
	w := &c.batch
	if err := c.acceptLocked(nil, op, true, p); err != nil {
		return err
	}
	w.countSent(op, true, len(p))
	rsv := uint8(0)
	if c.enc.Compresses(op, true, len(p)) {
		out := buffer.Get(engine.CompressedBound(len(p)))
		defer out.Put()
		rsv, p = c.enc.Compress(out.B, op, true, p)
	}
	c.encodeCountedLocked(op, true, rsv, p)
	batch := w.seq
	switch {
	case w.heldBack() && len(w.pending.B) < c.limits().SendQueue:
	case w.state == writerBusy:
		w.unowned = true
	default:
		w.writeNonBlocking(c)
	}
	return c.batchErrLocked(batch)
}

// batchErrLocked returns why the frames of a batch won't be written, or nil.
func (c *Conn) batchErrLocked(batch uint32) error {
	if c.batch.isWritten(batch) {
		return nil
	}
	return c.closing.WriteErr()
}

// isTakenLocked reports whether a batch was written, and no more of it is queued than may be.
func (c *Conn) isTakenLocked(batch uint32) bool {
	return c.batch.isWritten(batch) && c.batch.t.Queued() <= c.limits().SendQueue
}

// A contextWaiter waits for room while its context lasts.
type contextWaiter struct {
	c    *Conn
	ctx  context.Context
	stop func() bool // nil: ctx wakes nobody yet
}

// wait waits until something has changed that a send of n bytes waits for: the write of another
// has ended, or the queue has room. It returns false when the context has ended, or the transport can't
// be waited for. The lock is held, but not while waiting.
func (cw *contextWaiter) waitLocked(n int) bool {
	w := &cw.c.batch
	switch {
	case cw.ctx.Err() != nil:
		return false
	case w.state != writerBusy:
		if !w.drain(cw.ctx, cw.c, n) {
			return false
		}
		w.writeUnowned(cw.c) // this send may be abandoned
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

// end is called when nothing waits any more.
func (cw *contextWaiter) cancel() {
	if cw.stop != nil {
		cw.stop()
	}
}

// Cork holds back what is sent from now on, by any goroutine, until Flush, so that it is written
// together. The send with which Limits.SendQueue bytes have gathered writes them, and waits for the
// peer as any other send. A Flush is owed: pongs are held back too, and once so many bytes have
// gathered, only the latest ping is answered.
func (c *Conn) Cork() {
	c.batch.mu.Lock()
	c.batch.corked = true
	c.batch.mu.Unlock()
}

// Flush ends what Cork began and writes what has gathered. In a Handler it also writes what the Handler has
// sent, without waiting for the peer. Errors are those of the sends
// whose frames it writes.
func (c *Conn) Flush() error {
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.corked = false
	if w.pending != nil && !w.heldBack() {
		return c.commitLocked()
	}
	if w.pending != nil {
		w.flushHeldBack(c)
	}
	return c.closing.WriteErr()
}

// Drain waits until at most most bytes that were sent wait for the peer: until the
// system has taken the rest, the send deadline has passed, or the connection is over. It is
// how a sender goes on after a *LimitError that names SendQueue. It doesn't wait for what Cork
// or a Handler holds back. It may be called from any goroutine, but not from a Handler, whose
// event loop it would hold up. Errors are those of a send, also where nothing is queued.
func (c *Conn) Drain(most int) error {
	most = max(most, 0)
	var err error
	if c.Queues() {
		err = c.batch.t.(transport.Queue).Drain(context.Background(), most)
	}
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		c.writeFailedLocked(err)
	}
	for w.state == writerBusy && !c.Queues() && w.queued() > most {
		w.waitForWrite()
	}
	return c.closing.SendErr()
}

// Queues reports whether the transport queues what the peer doesn't take at once, as those
// on event loops do. Otherwise a send may wait for the peer, whatever Limits.WhenFull says.
// It may be called from any goroutine.
func (c *Conn) Queues() bool {
	q, ok := c.batch.t.(transport.Queue)
	return ok && q.Queues()
}

// refuses reports whether a full queue makes a send fail, not wait.
func (c *Conn) refuses() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.refuses
}

// writesPending reports whether something waits to be written.
func (c *Conn) writesPending() bool {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	return c.batch.state == writerBusy || c.batch.t.Queued() > 0
}
