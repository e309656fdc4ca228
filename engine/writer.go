package engine

import (
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
// is open, ErrFrameOrder is returned. Errors are those of SendFrame. A Write that
// returns one took nothing: after a *LimitError it can be called again when there is
// room. So can Close once a fragment is out; before, it drops the message.
func (c *Conn) NextWriter(op Opcode) (io.WriteCloser, error) {
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.over(); err != nil {
		return nil, err
	}
	if !op.startsMessage() || s.message != OpNone || s.peek().writer.c != nil {
		return nil, ErrFrameOrder
	}
	writer := &s.need().writer
	writer.c, writer.op = c, op
	return writer, nil
}

// A messageWriter gathers the payload of one message into fragments.
type messageWriter struct {
	c       *Conn          // nil: closed
	op      Opcode         // of the next fragment
	pending *buffer.Buffer // not sent yet
}

func (w *messageWriter) Write(p []byte) (int, error) {
	if w.c == nil {
		return 0, ErrFrameOrder
	}
	if w.pending == nil {
		w.pending = buffer.Get(fragmentSize)
	}
	if len(w.pending.B)+len(p) <= fragmentSize {
		w.pending.B = append(w.pending.B, p...)
		return len(p), nil
	}
	if err := w.sendPending(false); err != nil {
		return 0, err
	}
	if len(p) < fragmentSize {
		w.pending.B = append(w.pending.B, p...)
		return len(p), nil
	}
	if err := w.c.SendFrame(w.op, false, p); err != nil {
		return 0, err
	}
	w.op = OpContinuation
	return len(p), nil
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
	if err := w.c.SendFrame(w.op, fin, p); err != nil {
		return err
	}
	if w.pending != nil {
		w.pending.B = w.pending.B[:0]
	}
	w.op = OpContinuation
	return nil
}

// Close sends the final fragment. A message of which a part is out has to have one, so
// where the queue is full the writer stays open.
func (w *messageWriter) Close() error {
	if w.c == nil {
		return ErrFrameOrder
	}
	err := w.sendPending(true)
	if _, full := err.(*LimitError); full && w.op == OpContinuation {
		return err
	}
	if w.pending != nil {
		w.pending.Put()
		w.pending = nil
	}
	c := w.c
	c.send.mu.Lock()
	w.c = nil
	c.send.mu.Unlock()
	return err
}
