package engine

import (
	"fmt"
	"io"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// fragmentSize is how much a message writer gathers before it sends a fragment.
const fragmentSize = 16 << 10

// NextWriter begins a message of text or binary and returns a writer of its
// payload. It sends fragments of at least 16 KiB as they fill, and the final one
// on Close (RFC 6455 section 5.4); a message below that size leaves as one frame.
// Until Close, other goroutines can send only pings and pongs once a fragment is
// out. The writer belongs to one goroutine, and there is one at a time: while it
// is open, ErrFrameOrder is returned. Every message has a writer of its own: calls of one that
// was closed return ErrFrameOrder and do nothing.
//
// Errors are those of SendFrame. A Write that fails has taken nothing of its bytes. After a
// *LimitError it can be called again when there is room, and so can Close once a fragment is
// out; before, Close drops the message. Close after a Write that failed doesn't end the
// message, so that the peer never takes a part of it for the whole. If a fragment is out then,
// no other message can be sent: sends return an error that is ErrFrameOrder and has the cause in
// its chain. Pings and pongs still can, messages are received, and CloseWith tells the peer why.
func (c *Conn) NextWriter(op Opcode) (io.WriteCloser, error) {
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.over(); err != nil {
		return nil, err
	}
	if !op.startsMessage() || s.message != OpNone || s.peek().writer != nil {
		return nil, s.outOfOrder()
	}
	w := &messageWriter{c: c, op: op}
	s.need().writer = w
	return w, nil
}

// A messageWriter gathers the payload of one message into fragments.
type messageWriter struct {
	c       *Conn          // nil: closed
	op      Opcode         // of the next fragment; changed under the lock of sending
	pending *buffer.Buffer // not sent yet
	err     error          // of the last Write; final unless it is a *LimitError
}

func (w *messageWriter) Write(p []byte) (int, error) {
	switch {
	case w.c == nil:
		return 0, ErrFrameOrder
	case w.err != nil && !isLimit(w.err):
		return 0, w.err
	}
	if w.err = w.take(p); w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// take takes all of p, or fails and takes nothing.
func (w *messageWriter) take(p []byte) error {
	if w.pending == nil {
		w.pending = buffer.Get(fragmentSize)
	}
	if len(w.pending.B)+len(p) > fragmentSize {
		if err := w.sendPending(false); err != nil {
			return err
		}
		if len(p) >= fragmentSize {
			return w.c.sendFrame(w, w.op, false, p)
		}
	}
	w.pending.B = append(w.pending.B, p...)
	return nil
}

// sendPending sends what is pending as a fragment, if it is worth one.
func (w *messageWriter) sendPending(fin bool) error {
	var p []byte
	if w.pending != nil {
		p = w.pending.B
	}
	if len(p) == 0 && !fin {
		return nil
	}
	if err := w.c.sendFrame(w, w.op, fin, p); err != nil {
		return err
	}
	if w.pending != nil {
		w.pending.B = w.pending.B[:0]
	}
	return nil
}

// Close sends the final fragment. A message of which a part is out has to have one, so
// where the queue is full the writer stays open.
func (w *messageWriter) Close() error {
	if w.c == nil {
		return ErrFrameOrder
	}
	err := w.err
	if err == nil {
		err = w.sendPending(true)
	}
	if isLimit(err) && w.op == OpContinuation {
		return err
	}
	if w.pending != nil {
		w.pending.Put()
	}
	s := &w.c.send
	s.mu.Lock()
	s.seldom.writer = nil
	if err != nil && w.op == OpContinuation {
		s.seldom.broken = err
	}
	s.mu.Unlock()
	*w = messageWriter{}
	return err
}

// mayContinue reports whether w, or who isn't a writer if it is nil, sends the message under
// way. The lock is held.
func (s *sendState) mayContinue(w *messageWriter) bool {
	seldom := s.peek()
	return seldom.broken == nil && (seldom.writer == w || seldom.writer.op != OpContinuation)
}

// outOfOrder returns the error for a frame that can't be sent here. The lock is held.
func (s *sendState) outOfOrder() error {
	if broken := s.peek().broken; broken != nil {
		return fmt.Errorf("%w: the message before it failed in the middle: %w", ErrFrameOrder, broken)
	}
	return ErrFrameOrder
}

func isLimit(err error) bool {
	_, ok := err.(*LimitError)
	return ok
}
