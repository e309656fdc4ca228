package websock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// NextReader waits for the next message and returns its opcode (text or binary) and a reader of its
// payload, including all fragments, which ends with io.EOF. It skips what is left of the current
// message, whichever call has begun it.
//
// The reader belongs to the goroutine that receives. After ErrTimeout a Read can be repeated. Until
// the reader is at its end, other receiving calls return ErrReadOrder. It is valid until the next
// call of NextReader or SetHandler; then Read returns ErrReadOrder or ErrHandler, unless the reader
// was at its end. Errors are those of Recv.
func (c *Conn) NextReader() (Opcode, io.Reader, error) {
	if err := c.beginPull(); err != nil {
		return OpNone, nil, err
	}
	if err := c.skipMessage(); err != nil {
		return OpNone, nil, err
	}
	for {
		h, _, err := c.Recv(nil)
		if err != nil {
			return OpNone, nil, err
		}
		if h.Opcode != OpNone {
			m := &messageReader{c: c, open: !(h.Fin && h.Remaining == 0)}
			c.receive.reader = m
			return c.receive.dec.Message(), m, nil
		}
	}
}

// skipMessage discards the rest of a message that was received in part.
func (c *Conn) skipMessage() error {
	r := &c.receive
	if !r.dec.MessageBegun() && (r.reader == nil || !r.reader.open) {
		return nil
	}
	m := &messageReader{c: c, open: true}
	r.reader = m
	discard := buffer.Get(directSize)
	defer discard.Put()
	for m.open {
		if _, err := m.Read(discard.B[:directSize]); err != nil && err != io.EOF {
			return err
		}
	}
	return nil
}

// A messageReader reads the payload of one message.
type messageReader struct {
	c    *Conn
	open bool // the message has not ended
}

func (m *messageReader) Read(p []byte) (int, error) {
	r := &m.c.receive
	switch {
	case !m.open:
		return 0, io.EOF
	case r.handler != nil:
		return 0, ErrHandler
	case r.activeReceive == nil || r.reader != m:
		return 0, ErrReadOrder
	case len(p) == 0:
		return 0, nil
	}
	if err := m.c.beginPull(); err != nil {
		return 0, err
	}
	r.timeout.bounded = false
	for m.open {
		var h Header
		n, err := m.c.recvNext(&h, p)
		if err != nil {
			return n, err
		}
		if h.Opcode != OpNone && h.Fin && h.Remaining == 0 {
			m.open = false
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, io.EOF
}

// fragmentSize is the size of the buffer of a message writer.
const fragmentSize = 16 << 10

// NextWriter begins a message of op, OpText or OpBinary, and returns a writer of its payload. The
// writer buffers up to 16 KiB and sends a fragment when a Write doesn't fit, and the final fragment
// in Close (RFC 6455 section 5.4); a smaller message is sent as one frame. Once a fragment was
// sent, other goroutines can send only pings and pongs until Close. The writer belongs to one
// goroutine. Only one can be open at a time: NextWriter returns ErrFrameOrder while another is. The
// methods of a closed writer return ErrFrameOrder, too.
//
// Errors are those of SendFrame. A Write that fails has accepted none of its bytes. After a
// *LimitError, Write can be called again when there is room. Close can be, too, if a fragment was
// sent; otherwise Close drops the message. After any other failed Write, Close doesn't send the
// final fragment, so the peer can't take a part of the message for the whole. If a fragment was
// sent, no other message can be sent then: sends return an error that is ErrFrameOrder and wraps
// the cause. Pings and pongs can still be sent, messages are received, and CloseWith can tell the
// peer why.
func (c *Conn) NextWriter(op Opcode) (io.WriteCloser, error) {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	if err := c.closing().SendErr(); err != nil {
		return nil, err
	}
	if !op.StartsMessage() || c.enc.InMessage() || c.batch.rareOrZero().writer != nil {
		return nil, c.orderErrLocked()
	}
	w := &messageWriter{c: c, op: op}
	c.batch.ensureRare().writer = w
	return w, nil
}

// A messageWriter buffers the payload of one message and sends it in fragments.
type messageWriter struct {
	c       *Conn          // nil: closed
	op      Opcode         // of the next fragment; written with the lock of the batchWriter held
	pending *buffer.Buffer // payload that was not sent yet
	err     error          // of the last Write; permanent unless it is a *LimitError
}

func (w *messageWriter) Write(p []byte) (int, error) {
	switch {
	case w.c == nil:
		return 0, ErrFrameOrder
	case w.err != nil && !isLimit(w.err):
		return 0, w.err
	}
	if w.err = w.buffer(p); w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// buffer accepts all of p, or fails and accepts nothing.
func (w *messageWriter) buffer(p []byte) error {
	if w.pending == nil {
		w.pending = buffer.Get(fragmentSize)
	}
	if len(w.pending.B)+len(p) > fragmentSize {
		if err := w.sendFragment(false); err != nil {
			return err
		}
		if len(p) >= fragmentSize {
			return w.c.sendFrame(w, w.op, false, p)
		}
	}
	w.pending.B = append(w.pending.B, p...)
	return nil
}

// sendFragment sends the pending payload as a fragment. It sends an empty fragment only if that is
// the final one.
func (w *messageWriter) sendFragment(fin bool) error {
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

// Close sends the final fragment. If a fragment was sent, the message needs a final one, so the
// writer stays open if the queue is full.
func (w *messageWriter) Close() error {
	if w.c == nil {
		return ErrFrameOrder
	}
	err := w.err
	if err == nil {
		err = w.sendFragment(true)
	}
	if isLimit(err) && w.op == OpContinuation {
		return err
	}
	if w.pending != nil {
		w.pending.Put()
	}
	batch := &w.c.batch
	batch.mu.Lock()
	batch.rare.writer = nil
	if err != nil && w.op == OpContinuation {
		batch.rare.broken = err
	}
	batch.mu.Unlock()
	*w = messageWriter{}
	return err
}

// mayContinueLocked reports whether the current message is that of w, or of a sender without a
// writer if w is nil.
func (c *Conn) mayContinueLocked(w *messageWriter) bool {
	rare := c.batch.rareOrZero()
	return rare.broken == nil && (rare.writer == w || rare.writer.op != OpContinuation)
}

// orderErrLocked returns the error for a frame that must not be sent now.
func (c *Conn) orderErrLocked() error {
	if broken := c.batch.rareOrZero().broken; broken != nil {
		return fmt.Errorf("%w: the message before it failed in the middle: %w", ErrFrameOrder, broken)
	}
	return ErrFrameOrder
}

func isLimit(err error) bool {
	_, ok := err.(*LimitError)
	return ok
}

// NetConn returns the connection as a stream of bytes, for protocols with a framing of their own
// (MQTT, SSH, RFB). Each Write of at least one byte sends one message of op. Read returns the
// payload of text and binary messages one after another, regardless of their boundaries. If the
// peer closes with CloseNormal or CloseGoingAway, Read returns io.EOF. If op is neither OpText nor
// OpBinary, Write returns ErrFrameOrder.
//
// The stream fulfills the contract of net.Conn and passes golang.org/x/net/nettest: any number of
// goroutines may call any method, and after a deadline Read or Write returns a net.Error whose
// Timeout is true and which is os.ErrDeadlineExceeded. The read deadline is that of the Conn; the
// write deadline is the stream's own.
//
// Write returns when the message was written or is queued; at most Limits.SendQueue bytes are. A
// message that finds no room until its deadline isn't sent; if the peer then accepts nothing for
// Limits.CloseTimeout, the connection is aborted. A message larger than Limits.SendQueue may have
// been written in part at its deadline: that ends sending. In each case Read returns what has
// arrived, and then the error.
func (c *Conn) NetConn(op Opcode) net.Conn { return &stream{c: c, op: op} }

type stream struct {
	c       *Conn
	op      Opcode
	reading sync.Mutex // serializes Read

	mu        sync.Mutex
	deadline  writeDeadline
	stopTimer func() bool // stops the timer that a timed-out write has started; nil: none runs
}

func (s *stream) Read(p []byte) (int, error) {
	s.reading.Lock()
	defer s.reading.Unlock()
	if err := s.c.beginRecv(); err != nil {
		return 0, eofIfNormal(err)
	}
	if s.c.recvDeadlinePassed() {
		return 0, ErrTimeout
	}
	for len(p) > 0 {
		_, n, err := s.c.Recv(p)
		if n > 0 || err != nil {
			return n, eofIfNormal(err)
		}
	}
	return 0, nil
}

// eofIfNormal returns io.EOF for an error that means that the peer has closed normally, and
// otherwise err.
func eofIfNormal(err error) error {
	var closed *CloseError
	if errors.As(err, &closed) && !closed.Local &&
		(closed.Code == CloseNormal || closed.Code == CloseGoingAway) {
		return io.EOF
	}
	return err
}

func (s *stream) Write(p []byte) (int, error) {
	if !s.op.StartsMessage() {
		return 0, ErrFrameOrder
	}
	if err := s.c.Err(); err != nil || len(p) == 0 {
		return 0, asNetError(err)
	}
	err := s.send(p)
	switch {
	case err == ErrTimeout:
		s.startStallTimer()
		return 0, err
	case err != nil:
		return 0, asNetError(err)
	}
	s.stopStallTimer()
	return len(p), nil
}

// send sends p as one message. It returns ErrTimeout if nothing was sent before the deadline.
func (s *stream) send(p []byte) error {
	s.mu.Lock()
	ctx := s.deadline.context()
	s.mu.Unlock()
	if s.c.refuses() && s.c.Queues() {
		if err := ctx.Err(); err != nil {
			return err
		}
		return s.c.SendFrame(s.op, true, p)
	}
	return s.c.SendContext(ctx, s.op, p)
}

// startStallTimer aborts the connection after the close timeout, if the peer accepts nothing until
// then.
func (s *stream) startStallTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopTimer == nil {
		s.stopTimer = callAt(time.Now().Add(s.c.closeTimeout()), s.abortIfStalled)
	}
}

// stopStallTimer stops the timer if one runs.
func (s *stream) stopStallTimer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopTimer != nil {
		s.stopTimer()
		s.stopTimer = nil
	}
}

var errStalled = fmt.Errorf("websock: a write timed out, and the peer takes nothing: %w", ErrTimeout)

// abortIfStalled aborts the connection if something is still queued.
func (s *stream) abortIfStalled() {
	s.stopStallTimer()
	if s.c.Err() == nil && s.c.writesPending() {
		s.c.Abort(errStalled)
	}
}

// A writeTimeout is the error of a connection that a deadline has ended, as a net.Error.
type writeTimeout struct{ error }

func (writeTimeout) Timeout() bool   { return true }
func (writeTimeout) Temporary() bool { return false }
func (w writeTimeout) Unwrap() error { return w.error }

func asNetError(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return writeTimeout{err}
	}
	return err
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}

func (s *stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline.set(t)
	return s.c.Err()
}

func (s *stream) Close() error                      { return s.c.Close() }
func (s *stream) LocalAddr() net.Addr               { return s.c.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr              { return s.c.RemoteAddr() }
func (s *stream) SetReadDeadline(t time.Time) error { return s.c.SetRecvDeadline(t) }

// A writeDeadline cancels the context of current writes when it passes, and that of later ones
// until it is set again.
type writeDeadline struct {
	ctx    context.Context // nil: there was no write yet
	cancel func()
	stop   func() bool // cancels the deadline and reports whether it had not passed; nil: there is none
}

// context returns the context for a write.
func (d *writeDeadline) context() context.Context {
	if d.ctx == nil {
		d.renew()
	}
	return d.ctx
}

func (d *writeDeadline) renew() {
	ctx, cancel := context.WithCancel(context.Background())
	d.ctx, d.cancel = deadlineContext{ctx}, cancel
}

func (d *writeDeadline) set(t time.Time) {
	passed := d.stop != nil && !d.stop() // then d.cancel was called, or is about to be
	if d.ctx == nil || passed || d.ctx.Err() != nil {
		d.renew()
	}
	d.stop = nil
	switch {
	case t.IsZero():
	case time.Now().Before(t):
		d.stop = callAt(t, d.cancel)
	default:
		d.cancel()
	}
}

// A deadlineContext returns ErrTimeout when it has ended.
type deadlineContext struct{ context.Context }

func (d deadlineContext) Err() error {
	if d.Context.Err() != nil {
		return ErrTimeout
	}
	return nil
}

// callAt calls f at time t, in a goroutine of its own. stop prevents the call and reports whether
// it did.
func callAt(t time.Time, f func()) (stop func() bool) {
	ctx, cancel := context.WithDeadline(context.Background(), t)
	stopped := context.AfterFunc(ctx, f)
	return func() bool {
		defer cancel()
		return stopped()
	}
}
