package engine

import (
	"context"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/deflate"
)

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
	return c.accept(op, p)
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
	if err := c.accept(op, p); err != nil || len(p) <= c.limits().SendQueue {
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

// accept writes or queues a frame for which there is room. The lock is held.
func (c *Conn) accept(op Opcode, p []byte) error {
	s := &c.send
	if err := s.admit(nil, op, true, p); err != nil {
		return err
	}
	s.count(op, true, len(p))
	rsv := uint8(0)
	if z := c.compression(); z != nil && z.compresses(op, true, len(p)) {
		out := buffer.Get(deflate.Bound(len(p)))
		defer out.Put()
		rsv, p = z.compress(out, op, true, p)
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
