package websock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/internal/utf8"
	"github.com/seed004e8d11/websock/mask"
)

// pieceSize is the size up to which a frame leaves in one write. A larger one is
// masked and written piece by piece, in the memory of one piece.
const pieceSize = 128 << 10

// sendState is what the sending side of a Conn remembers, under its lock.
//
// Frames are encoded into a batch. One sender at a time writes, without holding
// the lock; those who come meanwhile put their frames into the next batch, wait,
// and one of them writes it: what gathers during a write leaves in one.
type sendState struct {
	mu       sync.Mutex
	err      *CloseError    // why nothing can be sent any more
	batch    *buffer.Buffer // frames encoded and not written; nil: none
	gathered uint32         // number of the batch
	written  uint32         // how many batches were written
	writing  bool           // a sender writes, without the lock
	left     bool           // nobody waits for the batch: who writes takes it along
	corked   bool           // Cork was called
	handling bool           // a batch of received bytes is being handled

	enc engine.Encoder

	closing *CloseError // a close frame was sent: how the connection ends
	ended   bool        // the peer's close frame came, or the stream ended
	ending  bool        // somebody ends the connection
	pushed  bool        // data goes to a Handler
	refuses bool        // a full queue makes a send fail, not wait
	handler uint32      // the goroutine that handles received bytes

	counts *connCounts // nil: nothing was counted yet
	rare   *rareState  // nil: nothing was needed of it yet
}

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

// sendFrame is SendFrame for w, or for who isn't a writer if it is nil.
func (c *Conn) sendFrame(w *messageWriter, op Opcode, fin bool, p []byte) error {
	if err := checkText(op, fin, p); err != nil {
		return err
	}
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.enc.Compresses(op, fin, len(p)) {
		return c.sendDeflated(w, op, fin, p)
	}
	if len(p) > pieceSize {
		return c.sendLarge(w, op, fin, p)
	}
	if err := c.makeWay(len(p)); err != nil {
		return err
	}
	if err := s.accept(w, op, fin, p); err != nil {
		return err
	}
	c.encode(op, fin, p)
	return c.commit()
}

// checkText refuses an unfragmented text message that isn't UTF-8. It needs no
// lock.
func checkText(op Opcode, fin bool, p []byte) error {
	if op == OpText && fin && !utf8.Valid(p) {
		return ErrInvalidUTF8
	}
	return nil
}

// over returns why nothing can be sent any more, or nil.
func (s *sendState) over() error {
	if s.closing != nil {
		return s.closing
	}
	return s.writeError()
}

// writeError returns why a frame that was accepted has not been written, or nil.
func (s *sendState) writeError() error {
	if s.err == nil {
		return nil
	}
	return s.err
}

// accept decides whether a frame of w, or of a sender without a writer if it is nil, can be sent
// now, and if so counts it as sent.
func (s *sendState) accept(w *messageWriter, op Opcode, fin bool, p []byte) error {
	if err := s.over(); err != nil {
		return err
	}
	if op == OpContinuation && !s.mayContinue(w) {
		return s.outOfOrder()
	}
	if err := s.enc.Accept(op, fin, p); err != nil {
		if err == ErrFrameOrder && op != OpPing && op != OpPong {
			err = s.outOfOrder()
		}
		return err
	}
	if w != nil && op.IsData() && !(fin && op != OpContinuation) {
		w.op = OpContinuation
	}
	return nil
}

// sendAccepted sends a frame that was accepted and counted. If it can be of more than one
// piece, the turn was taken.
func (c *Conn) sendAccepted(op Opcode, fin bool, rsv uint8, p []byte) error {
	if len(p) > pieceSize {
		return c.writePieces(op, fin, rsv, p)
	}
	c.encodeCounted(op, fin, rsv, p)
	return c.commit()
}

// encode appends a frame to the batch: copied and masked in one pass.
func (c *Conn) encode(op Opcode, fin bool, p []byte) {
	c.send.count(op, fin, len(p))
	c.encodeCounted(op, fin, 0, p)
}

func (c *Conn) encodeCounted(op Opcode, fin bool, rsv uint8, p []byte) {
	s := &c.send
	size := s.enc.FrameSize(len(p))
	if s.batch == nil {
		s.batch = buffer.Get(s.batchSize(size))
	} else {
		s.batch.Grow(size)
	}
	s.batch.B = s.enc.AppendFrame(s.batch.B, s.newKey(s.batch), op, fin, rsv, p)
}

// batchSize is how large a batch begins that has a frame of size bytes: where others are
// likely to follow, with room for some of them.
func (s *sendState) batchSize(size int) int {
	if s.gathers() {
		return max(size, 2<<10)
	}
	return size
}

// newKey returns the masking key of a frame that goes to b (RFC 6455 section 5.3). A server needs
// none.
func (s *sendState) newKey(b *buffer.Buffer) (key [4]byte) {
	if s.enc.Role() == Client {
		key = b.NewKey()
	}
	return key
}

func (s *sendState) count(op Opcode, fin bool, n int) {
	counts := s.ensureCounts()
	switch {
	case op == OpPong:
		counts.pongsSent++
	case op.IsData():
		counts.framesSent++
		counts.payloadSent += uint64(n)
		if fin {
			counts.messagesSent++
		}
	}
}

// commit sees the batch written, by this sender or another, unless it is held
// back. The lock is held, but not while writing or waiting.
func (c *Conn) commit() error {
	s := &c.send
	if few := len(s.batch.B) < c.limits().SendQueue; few && s.heldBack() {
		return nil
	} else if few && s.handling { // the Handler may wait for this send, and must not wait for the peer
		c.flushPending()
		return s.writeError()
	}
	mine := s.gathered
	for s.err == nil {
		waiting := !s.isWritten(mine)
		switch {
		case waiting && s.writing:
			s.wait()
		case waiting:
			c.writeBatch()
		default:
			return c.writeLeft()
		}
	}
	if s.isWritten(mine) {
		return nil
	}
	return s.writeError()
}

// writeLeft writes what nobody waits for. So this sender is told if that fails.
func (c *Conn) writeLeft() error {
	s := &c.send
	for s.err == nil && !s.writing && (c.answerPing() || s.left) {
		c.writeBatch()
	}
	return s.writeError()
}

// isWritten reports whether the batch of that number is out. Numbers wrap.
func (s *sendState) isWritten(batch uint32) bool { return int32(s.written-batch) > 0 }

// gathers reports whether a frame joins others, not written yet, rather than being written alone.
func (s *sendState) gathers() bool { return s.corked || s.handling }

// heldBack reports whether frames gather until somebody flushes them.
// Those of a Handler do until all bytes that have been received are handled: they leave in one
// write. A send of another goroutine must not wait for the Handler, which can take its time; it
// writes at once, and takes along what has gathered. Which of the two a send is only the
// goroutine tells that it comes from: the Conn that a Handler gets is the one that all others
// have. A timer that writes what a slow Handler holds back would make others wait for it, and a
// write for each send costs a Handler that answers many messages a system call for each.
func (s *sendState) heldBack() bool {
	return s.corked || s.inHandler()
}

// inHandler reports whether the caller is in a call of the Handler.
func (s *sendState) inHandler() bool { return s.handling && s.handler == goroutine.ID() }

// wait waits until another sender's write has ended.
func (s *sendState) wait() {
	rare := s.ensureRare()
	if rare.writeDone == nil {
		rare.writeDone = sync.NewCond(&s.mu)
	}
	rare.writeDone.Wait()
}

// writeBatch writes the batch, and the pong that has become due.
func (c *Conn) writeBatch() {
	b := c.takeBatch()
	c.batchIsOut(b, c.write(b, b.B, nil))
}

// takeBatch returns what has gathered, and the pong that has become due.
func (c *Conn) takeBatch() *buffer.Buffer {
	c.answerPing()
	s := &c.send
	b := s.batch
	s.batch, s.left = nil, false
	s.gathered++
	return b
}

// batchIsOut ends the write of a batch. That the connection may have ended meanwhile is no
// failure of the write.
func (c *Conn) batchIsOut(b *buffer.Buffer, err error) {
	if err == nil {
		c.send.written++
	}
	b.Put()
}

// write gives one or two slices to the transport, without the lock. vec lends the
// memory for the call.
func (c *Conn) write(vec *buffer.Buffer, first, second []byte) error {
	s := &c.send
	s.writing = true
	s.mu.Unlock()
	vec.Vec[0] = first
	bufs := vec.Vec[:1]
	if second != nil {
		vec.Vec[1] = second
		bufs = vec.Vec[:2]
	}
	err := c.t.Writev(bufs...)
	s.mu.Lock()
	c.wrote(len(first)+len(second), err)
	return err
}

// wrote ends a write of n bytes.
func (c *Conn) wrote(n int, err error) {
	s := &c.send
	s.writing = false
	counts := s.ensureCounts()
	counts.writes++
	counts.wireSent += uint64(n)
	if err != nil {
		c.sendFailed(err)
	}
	s.tell()
}

// tell wakes those who wait for a write to end.
func (s *sendState) tell() {
	if turn := s.rareOrZero().writeDone; turn != nil {
		turn.Broadcast()
	}
}

// sendFailed ends sending for good: a part of a frame may be out. What the peer has sent is still
// received, since its close frame may say why, but it has little time left.
func (c *Conn) sendFailed(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("websock: a write did not end in time, a part of a frame may be out: %w", err)
	}
	c.send.end(&CloseError{Code: CloseAbnormal, Err: err})
	c.limitEnd()
}

// end notes why nothing can be sent any more, unless that is known, and gives back what waits
// to be.
func (s *sendState) end(how *CloseError) {
	if s.err == nil {
		s.err = how
	}
	if s.batch != nil {
		s.batch.Put()
		s.batch = nil
	}
	s.dropPing()
}

// takeTurn waits until nobody else writes and all that gathered before is out.
func (c *Conn) takeTurn() {
	s := &c.send
	for s.err == nil && (s.writing || s.batch != nil) {
		if s.writing {
			s.wait()
		} else {
			c.writeBatch()
		}
	}
}

// sendDeflated sends a frame compressed, or a message as it is that doesn't become smaller.
// The lock is held.
func (c *Conn) sendDeflated(w *messageWriter, op Opcode, fin bool, p []byte) error {
	s := &c.send
	if err := c.makeWay(len(p)); err != nil {
		return err
	}
	most := engine.CompressedBound(len(p))
	if most > pieceSize {
		c.takeTurn()
	}
	if err := s.accept(w, op, fin, p); err != nil {
		return err
	}
	s.count(op, fin, len(p))
	out := buffer.Get(most)
	defer out.Put()
	rsv, p := s.enc.Compress(out.B, op, fin, p)
	return c.sendAccepted(op, fin, rsv, p)
}

// sendLarge sends a frame of more than one piece. Nobody else writes until all of
// it is out.
func (c *Conn) sendLarge(w *messageWriter, op Opcode, fin bool, p []byte) error {
	s := &c.send
	if err := c.makeWay(len(p)); err != nil {
		return err
	}
	c.takeTurn()
	if err := s.accept(w, op, fin, p); err != nil {
		return err
	}
	s.count(op, fin, len(p))
	return c.writePieces(op, fin, 0, p)
}

// writePieces writes a frame piece by piece.
func (c *Conn) writePieces(op Opcode, fin bool, rsv uint8, p []byte) error {
	s := &c.send
	b := buffer.Get(engine.MaxHeaderSize + pieceSize)
	defer b.Put()
	h := s.enc.Header(s.newKey(b), op, fin, rsv, len(p))
	b.B = engine.AppendHeader(b.B, h)
	if !h.Masked {
		return c.writeUnmasked(b, p)
	}
	for pos := 0; len(p) > 0 && s.err == nil; {
		at := len(b.B)
		piece := p[:min(len(p), pieceSize)]
		p = p[len(piece):]
		b.B = b.B[:at+len(piece)]
		pos = mask.Copy(b.B[at:], piece, h.Key, pos)
		c.write(b, b.B, nil)
		b.B = b.B[:0]
		if !s.refuses && c.crowded(len(p)) {
			c.waitForPeer(len(p))
		}
	}
	return c.writeLeft()
}

// writeUnmasked writes a header and a payload as it is: at once where the transport queues what
// the peer doesn't take, else piece by piece, so that the counts tell how far the peer has come.
func (c *Conn) writeUnmasked(header *buffer.Buffer, p []byte) error {
	s := &c.send
	most := 2 * pieceSize
	if c.Queues() {
		most = len(p)
	}
	piece := p[:min(len(p), most)]
	c.write(header, header.B, piece)
	for p = p[len(piece):]; len(p) > 0 && s.err == nil; p = p[len(piece):] {
		piece = p[:min(len(p), most)]
		c.write(header, piece, nil)
	}
	return c.writeLeft()
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
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	return c.trySend(op, p)
}

// trySend is TrySend of text that was checked. The lock is held.
func (c *Conn) trySend(op Opcode, p []byte) error {
	if c.send.over() == nil && !c.hasRoom(len(p)) {
		return c.queueFull()
	}
	return c.sendNow(op, p)
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
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil && s.over() == nil {
		return err
	}
	if s.inHandler() && c.Queues() {
		return c.trySend(op, p)
	}
	w := contextWaiter{c: c, ctx: ctx}
	defer w.end()
	for s.over() == nil && !c.hasRoom(len(p)) && w.wait(len(p)) {
	}
	if err := ctx.Err(); err != nil && s.over() == nil {
		return err
	}
	batch := s.gathered
	if err := c.sendNow(op, p); err != nil || len(p) <= c.limits().SendQueue {
		return err
	}
	for s.err == nil && !c.hasLeft(batch) && w.wait(0) {
	}
	if err := ctx.Err(); err != nil && s.err == nil && !c.hasLeft(batch) {
		c.sendFailed(err)
		c.t.SetWriteDeadline(time.Now()) // ends the write under way
		return s.writeError()
	}
	return c.acceptedError(batch)
}

// hasRoom reports whether a frame of n bytes can be written or queued now. What is held back is
// written first if that makes room. The lock is held.
func (c *Conn) hasRoom(n int) bool {
	s := &c.send
	if c.wouldWait(n) && !s.writing && s.batch != nil {
		c.writeWithoutWaiting()
	}
	return !c.wouldWait(n)
}

// wouldWait reports whether so much waits already that n bytes more are too many.
func (c *Conn) wouldWait(n int) bool {
	waits := c.queued()
	return (waits > 0 || c.send.writing) && waits > c.limits().SendQueue-n
}

// sendNow writes or queues a frame for which there is room. The lock is held.
func (c *Conn) sendNow(op Opcode, p []byte) error {
	s := &c.send
	if err := s.accept(nil, op, true, p); err != nil {
		return err
	}
	s.count(op, true, len(p))
	rsv := uint8(0)
	if s.enc.Compresses(op, true, len(p)) {
		out := buffer.Get(engine.CompressedBound(len(p)))
		defer out.Put()
		rsv, p = s.enc.Compress(out.B, op, true, p)
	}
	c.encodeCounted(op, true, rsv, p)
	batch := s.gathered
	switch {
	case s.heldBack() && len(s.batch.B) < c.limits().SendQueue:
	case s.writing:
		s.left = true
	default:
		c.writeWithoutWaiting()
	}
	return c.acceptedError(batch)
}

// acceptedError returns why the frames of a batch won't be written, or nil.
func (c *Conn) acceptedError(batch uint32) error {
	if c.send.isWritten(batch) {
		return nil
	}
	return c.send.writeError()
}

// hasLeft reports whether a batch was written, and no more is queued than may be.
func (c *Conn) hasLeft(batch uint32) bool {
	return c.send.isWritten(batch) && c.t.Queued() <= c.limits().SendQueue
}

// A contextWaiter waits for room while its context lasts.
type contextWaiter struct {
	c    *Conn
	ctx  context.Context
	stop func() bool // nil: ctx wakes nobody yet
}

// wait waits until something has changed that a send of n bytes waits for: the write of another
// has ended, or the queue has room. It reports whether it can: not after the end of the context.
// The lock is held, but not while waiting.
func (w *contextWaiter) wait(n int) bool {
	c, s := w.c, &w.c.send
	switch {
	case w.ctx.Err() != nil:
		return false
	case !s.writing:
		if !c.waitForPeerContext(w.ctx, n) {
			return false
		}
		c.writeLeft() // this send may be given up
		return true
	case w.stop == nil:
		w.stop = context.AfterFunc(w.ctx, func() {
			s.mu.Lock()
			s.tell()
			s.mu.Unlock()
		})
	}
	s.wait()
	return true
}

// end is called when nothing waits any more.
func (w *contextWaiter) end() {
	if w.stop != nil {
		w.stop()
	}
}
