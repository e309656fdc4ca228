package websock

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// directSize is how much of a frame must be missing, and fit the caller's
// buffer, for the transport to read straight into it. Below, one read through
// the transport's buffer that takes following frames along is cheaper.
const directSize = 4 << 10

// receiveState is what the receiving side of a Conn remembers. It belongs to the
// goroutine that receives.
type receiveState struct {
	// What is needed only while something is received: nil before the first receive by
	// pulling, and with a Handler whenever nothing is under way.
	*activeReceive

	handler      Handler       // nil: data is pulled
	pongPending  bool          // pongs wait to be sent
	pushed       bool          // data goes to a Handler; guarded by the lock of batchWriter
	shuttingDown bool          // a call of end has begun; guarded likewise
	stop         atomic.Uint32 // what stops receiving: stopPause and so on; 0: nothing
}

// What stops calls of a Handler, and receiving by pulling.
const (
	stopPause        = 1 << iota // Pause, until Resume: the Handler
	stopAbort                    // Abort, for good: either
	stopPull                     // Close without a Handler, for good
	stopCloseTimeout             // startCloseTimeoutLocked, once the time is over: either
)

type activeReceive struct {
	dec        engine.Decoder
	view       []byte // received bytes not handled yet
	viewSize   int    // size of the transport's view that they are the end of
	counts     recvCounts
	msgBuf     *buffer.Buffer // for Messages: the message under way
	budget     int            // work that a Receive may still do, see deliverBudget
	timeout    recvTimeout    // of a receive by pulling
	reader     *messageReader // the latest of NextReader; nil: there was none
	midMessage bool           // the Handler began in the middle of a message
}

var activeReceives = sync.Pool{New: func() any { return new(activeReceive) }}

// activate takes the memory that receiving needs from the pool.
func (c *Conn) activate() {
	r := &c.receive
	if r.activeReceive == nil {
		r.activeReceive = activeReceives.Get().(*activeReceive)
		r.dec.Init(c.Role(), &c.batch.config.decoderLimits, c.enc.Deflate())
	}
}

// deactivate returns that memory, unless a message is under way or the connection has ended.
func (r *receiveState) deactivate() {
	if len(r.view) == 0 && r.dec.Idle() {
		*r.activeReceive = activeReceive{}
		activeReceives.Put(r.activeReceive)
		r.activeReceive = nil
	}
}

// beginPull begins a receive by pulling, or returns why nothing can be pulled.
func (c *Conn) beginPull() error {
	r := &c.receive
	if r.handler != nil {
		return ErrHandler
	}
	c.activate()
	if r.dec.Err() == nil && r.stop.Load()&(stopAbort|stopPull) != 0 {
		c.consume(len(r.view)) // nobody wants it any more, and its memory is borrowed
		c.batch.mu.Lock()
		defer c.batch.mu.Unlock()
		return r.dec.Fail(c.closing.Ended(ErrClosed, !r.pushed, false))
	}
	return r.dec.Err()
}

// beginRecv is beginPull for what takes whatever comes.
func (c *Conn) beginRecv() error {
	if err := c.beginPull(); err != nil {
		return err
	}
	if reader := c.receive.reader; reader != nil && reader.open {
		return ErrReadOrder
	}
	return nil
}

// Recv receives payload into buf, as much as is there, and returns the header of
// the frame that it belongs to and the number of bytes. It waits until it can
// make progress, which is not always payload:
//
//   - h.Opcode == OpNone: some bytes of the next frame's header came, but not
//     all. This is no error: call again.
//   - n == 0 with h.Remaining > 0: the header is known, its payload is to come.
//   - h.Remaining > 0: this frame has more payload.
//   - h.Fin && h.Remaining == 0: this was the last of the message.
//
// Pings are answered and pongs taken inside (RFC 6455 section 5.5). Text is
// validated up to the last byte returned. Large payloads are read from the
// transport straight into buf. ErrReadOrder is returned while a reader of NextReader
// has its message.
//
// ErrTimeout says that the receive deadline passed; nothing is lost and h tells
// where the stream stands. All other errors are final: *CloseError after the
// peer's close frame, which has been answered, after our own Close, and when the
// connection was lost; *ProtocolError and *LimitError, of which the peer has been
// told.
func (c *Conn) Recv(buf []byte) (h Header, n int, err error) {
	n, err = c.recv(&h, buf)
	return h, n, err
}

// recv is Recv that writes the header where it will be read: copying one that was only just
// written makes the processor wait.
func (c *Conn) recv(h *Header, buf []byte) (int, error) {
	if n := c.recvUnfragmented(h, buf); n >= 0 {
		return n, nil
	}
	if err := c.beginRecv(); err != nil {
		h.Opcode = OpNone
		return 0, err
	}
	c.receive.timeout.bounded = false
	return c.recvNext(h, buf)
}

// RecvTimeout is Recv that waits no longer than d and then returns ErrTimeout. A
// d of zero or less takes only what is here already. The timeout changes nothing:
// the call can be repeated at any byte of a header or payload. A receive deadline
// that passes earlier has the same effect.
func (c *Conn) RecvTimeout(buf []byte, d time.Duration) (h Header, n int, err error) {
	if err := c.beginRecv(); err != nil {
		return Header{Opcode: OpNone}, 0, err
	}
	w := &c.receive.timeout
	w.bounded, w.applied, w.d = true, false, d
	n, err = c.recvNext(&h, buf)
	return h, n, err
}

// recvNext receives into buf and writes the header to h, which is zero.
func (c *Conn) recvNext(h *Header, buf []byte) (int, error) {
	r := &c.receive
	d := &r.dec
	for {
		if len(r.view) == 0 && !d.CanInflate() {
			if d.InFrame() && len(buf) >= directSize && d.Frame().Remaining >= directSize && !d.Compressed() {
				return c.recvDirect(h, buf)
			}
			if d.InFrame() && len(buf) == 0 && !d.Frame().Opcode.IsControl() {
				*h = *d.Frame()
				return 0, nil
			}
			if err := c.awaitView(); err != nil {
				*h = currentHeader(d)
				return 0, err
			}
		}
		if n := c.recvUnfragmented(h, buf); n >= 0 {
			return n, nil
		}
		n, err := d.NextHeader(r.view)
		if err != nil {
			h.Opcode = OpNone
			return 0, c.failProtocol(err)
		}
		c.consume(n)
		if !d.InFrame() {
			c.sendPongs()
			h.Opcode = OpNone
			return 0, nil
		}
		if d.Frame().Opcode.IsControl() {
			if err := c.handleControl(); err != nil {
				h.Opcode = OpNone
				return 0, err
			}
			if len(r.view) == 0 && c.recvTimedOut() {
				c.sendPongs()
				*h = currentHeader(d)
				return 0, ErrTimeout
			}
			continue
		}
		if d.Compressed() {
			return c.recvInflated(h, buf)
		}
		payload, err := d.UnmaskTo(buf, r.view)
		c.consume(len(payload))
		if err != nil {
			h.Opcode = OpNone
			return 0, c.failProtocol(err)
		}
		r.counts.addPayload(d.Frame(), len(payload))
		c.sendPongs()
		*h = *d.Frame()
		return len(payload), nil
	}
}

// currentHeader returns what is known of the frame of which payload is to be received next.
func currentHeader(d *engine.Decoder) Header {
	if !d.InFrame() || d.Frame().Opcode.IsControl() {
		return Header{Opcode: OpNone}
	}
	return *d.Frame()
}

// recvDirect receives payload of the open frame from the transport straight into
// the caller's buffer.
func (c *Conn) recvDirect(h *Header, buf []byte) (int, error) {
	r := &c.receive
	d := &r.dec
	c.sendPongs()
	if int64(len(buf)) > d.Frame().Remaining {
		buf = buf[:d.Frame().Remaining]
	}
	c.publishCounts()
	n, err := 0, c.applyRecvTimeout()
	if err == nil {
		n, err = c.batch.t.Read(buf)
	}
	for n == 0 && err != nil && c.handleSendError(err) {
		n, err = c.batch.t.Read(buf)
	}
	if n == 0 && err != nil {
		*h = *d.Frame()
		return 0, c.onReadError(err)
	}
	r.counts.wire += uint64(n)
	if err := d.UnmaskInPlace(buf[:n]); err != nil {
		h.Opcode = OpNone
		return 0, c.failProtocol(err)
	}
	r.counts.addPayload(d.Frame(), n)
	*h = *d.Frame()
	return n, nil
}

// fill waits for the transport's next view. Pongs leave first.
func (c *Conn) awaitView() error {
	c.sendPongs()
	c.publishCounts()
	if err := c.applyRecvTimeout(); err != nil {
		return c.onReadError(err)
	}
	return c.nextView()
}

// nextView takes the transport's next view. Its frame is small, as are those that call it: with
// what View needs to wait they fit into the 2 KiB of a goroutine's first stack.
func (c *Conn) nextView() error {
	for {
		view, err := c.batch.t.View()
		if err == nil {
			r := &c.receive
			r.view, r.viewSize = view, len(view)
			r.counts.wire += uint64(len(view))
			return nil
		}
		if !c.handleSendError(err) {
			return c.onReadError(err)
		}
	}
}

// handleSendError reports whether the transport only said that what it had queued can't be sent.
func (c *Conn) handleSendError(err error) bool {
	failed, ok := err.(*transport.SendError)
	if ok {
		c.batch.mu.Lock()
		c.writeFailedLocked(failed.Err)
		c.batch.mu.Unlock()
	}
	return ok
}

// used drops n bytes of the view. With the last one the transport gets its buffer
// back.
func (c *Conn) consume(n int) {
	r := &c.receive
	r.view = r.view[n:]
	if len(r.view) == 0 && r.viewSize > 0 {
		c.batch.t.Consume(r.viewSize)
		r.view, r.viewSize = nil, 0
	}
}

// lost turns an error of the transport into what the caller gets, and ends the
// connection unless it is a mere timeout.
func (c *Conn) onReadError(err error) error {
	switch {
	case err == transport.ErrWouldBlock:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		if !c.closeTimedOut() {
			return ErrTimeout
		}
		err = ErrTimeout
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return c.receive.dec.Fail(c.streamEnded(err))
}

// waiting is how long the receive under way may wait.
type recvTimeout struct {
	bounded bool          // by RecvTimeout
	applied bool          // the bound was given to the transport
	stale   bool          // the transport has the bound of an earlier receive
	d       time.Duration // of RecvTimeout
}

// applyRecvTimeout gives the transport the time limit of the receive under way. Only a
// receive that has to turn to the transport needs one.
func (c *Conn) applyRecvTimeout() error {
	w := &c.receive.timeout
	switch {
	case c.closeTimedOut():
		return os.ErrDeadlineExceeded
	case w.bounded && !w.applied:
		w.applied, w.stale = true, true
		return c.setRecvTimeout(time.Now().Add(w.d))
	case !w.bounded && w.stale:
		w.stale = false
		return c.setRecvTimeout(time.Time{})
	}
	return nil
}

// setRecvTimeout sets the time limit of a RecvTimeout; zero: there is none.
func (c *Conn) setRecvTimeout(until time.Time) error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.ensureRare().deadlines.recvTimeout = until
	return c.applyRecvDeadlineLocked()
}

// recvTimedOut reports whether the time of the receive under way is over, so that
// a peer that sends nothing but control frames can't prolong it.
func (c *Conn) recvTimedOut() bool {
	w := &c.receive.timeout
	if w.bounded && !w.applied {
		return false
	}
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	l := &c.batch.rareOrZero().deadlines
	if w.bounded {
		return passed(earliest(l.recv, l.recvTimeout))
	}
	return passed(l.recv)
}

// recvUnfragmented receives a whole message into buf, if the view begins with one for which buf has
// room, and returns its size; -1 if not.
func (c *Conn) recvUnfragmented(h *Header, buf []byte) int {
	r := c.receive.activeReceive
	if r == nil || c.receive.handler != nil || c.receive.stop.Load()&(stopAbort|stopPull) != 0 {
		return -1
	}
	view := r.view
	op, header, n := r.dec.Unfragmented(view)
	if header == 0 || n > len(buf) || !r.dec.AcceptUnfragmentedTo(buf, op, view[header:header+n]) {
		return -1 // what UnmaskTo doesn't accept either, it says why
	}
	r.counts.addMessage(n)
	if header+n < len(view) {
		r.view = view[header+n:]
	} else {
		c.consume(header + n)
	}
	c.sendPongs()
	h.Fin, h.Opcode, h.Length = true, op, int64(n)
	return n
}

// recvInflated is recv for the open frame of a compressed message.
func (c *Conn) recvInflated(h *Header, buf []byte) (int, error) {
	r := &c.receive
	payload, used, err := r.dec.Inflate(buf, r.view)
	c.consume(used)
	if err != nil {
		h.Opcode = OpNone
		return 0, c.failProtocol(err)
	}
	r.counts.addPayload(r.dec.Frame(), len(payload))
	r.counts.addInflated(used, len(payload))
	c.sendPongs()
	*h = *r.dec.Frame()
	return len(payload), nil
}

// RecvMessage receives a whole message, appends it to dst and returns its opcode
// (text or binary) and the extended slice. So msg[:0] uses the memory of an earlier message
// again, and nil makes new memory; with msg itself the messages pile up:
//
//	op, msg, err = c.RecvMessage(msg[:0])
//
// dst grows as the payload comes, up to Limits.MessageSize. In the middle of a message of which
// Recv has received a part it appends the rest.
//
// After ErrTimeout the result holds the part that came: pass it as dst of the
// next call to go on. Other errors are those of Recv.
func (c *Conn) RecvMessage(dst []byte) (Opcode, []byte, error) {
	if err := c.beginRecv(); err != nil {
		return OpNone, dst, err
	}
	for {
		var h Header
		n, err := c.recv(&h, dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case err != nil:
			return c.receive.dec.Message(), dst, err
		case h.Opcode == OpNone:
		case h.Fin && h.Remaining == 0:
			return c.receive.dec.Message(), dst, nil
		default:
			dst = growMessage(dst, h.Remaining)
		}
	}
}

// growMessage grows a message's buffer for the rest of a frame. What a peer only
// declares isn't allocated at once.
func growMessage(dst []byte, remaining int64) []byte {
	const (
		least = 512
		most  = 1 << 20
	)
	room := cap(dst) - len(dst)
	if room > 0 && int64(room) >= min(remaining, most) {
		return dst
	}
	return slices.Grow(dst, int(max(min(remaining, most), least)))
}
