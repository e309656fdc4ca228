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

// Recv receives payload into buf, as much as is available, and returns the header of the frame it
// belongs to and the number of bytes. It waits until it makes progress, which isn't always payload:
//
//   - h.Opcode == OpNone: some bytes of the next frame's header have arrived, but not all. This is
//     not an error: call Recv again.
//   - n == 0 with h.Remaining > 0: the header is complete, its payload follows.
//   - h.Remaining > 0: this frame has more payload.
//   - h.Fin && h.Remaining == 0: this was the end of the message.
//
// Recv answers pings and handles pongs (RFC 6455 section 5.5). Text is validated up to the last
// byte returned. Large payloads are read from the transport straight into buf. While a reader of
// NextReader has its message, Recv returns ErrReadOrder.
//
// ErrTimeout means that the receive deadline has passed; nothing is lost, and h describes the
// current frame. All other errors are permanent: *CloseError after the peer's close frame, which
// has been answered, after our own Close, and when the connection was lost; *ProtocolError and
// *LimitError, which the peer has been told.
func (c *Conn) Recv(buf []byte) (h Header, n int, err error) {
	n, err = c.recv(&h, buf)
	return h, n, err
}

// RecvTimeout is Recv that waits at most d and then returns ErrTimeout. If d is zero or negative,
// it only takes what has arrived. A timeout changes nothing: the call can be repeated at any byte
// of a header or payload. An earlier receive deadline has the same effect.
func (c *Conn) RecvTimeout(buf []byte, d time.Duration) (h Header, n int, err error) {
	if err := c.beginRecv(); err != nil {
		return Header{Opcode: OpNone}, 0, err
	}
	w := &c.receive.timeout
	w.bounded, w.applied, w.d = true, false, d
	n, err = c.recvNext(&h, buf)
	return h, n, err
}

// RecvMessage receives a whole message, appends it to dst and returns its opcode (text or binary)
// and the extended slice. With msg[:0] the memory of an earlier message is reused, with nil new
// memory is allocated:
//
//	op, msg, err = c.RecvMessage(msg[:0])
//
// dst grows as payload arrives, up to Limits.MessageSize. If Recv has received the beginning of a
// message, RecvMessage appends the rest.
//
// After ErrTimeout the slice contains the part that has arrived: pass it as dst to continue. Other
// errors are those of Recv.
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

// growMessage grows the buffer of a message for the rest of a frame. Memory for more than 1 MiB is
// only allocated as payload arrives.
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

// receiveState is the receiving side of a Conn. It belongs to the goroutine that receives.
type receiveState struct {
	// The state needed only while something is received. It is nil before the first receive, and
	// with a Handler whenever no message is incomplete.
	*activeReceive

	handler      Handler       // nil: Recv is used
	pongPending  bool          // pongs are waiting to be sent
	pushed       bool          // there is a Handler; guarded by batch.mu
	shuttingDown bool          // shutdown was called; guarded by batch.mu
	stop         atomic.Uint32 // the reasons to stop receiving: bits stopPause and so on
}

// The reasons to stop receiving.
const (
	stopPause        = 1 << iota // Pause was called, and not Resume: stops the Handler
	stopAbort                    // Abort was called: stops the Handler and Recv
	stopPull                     // Close was called without a Handler: stops Recv
	stopCloseTimeout             // the close timeout runs: stops both once it has passed
)

// An activeReceive is the state of a connection that is receiving a message.
type activeReceive struct {
	dec      engine.Decoder
	view     []byte // received bytes that were not handled yet
	viewSize int    // size of the transport's view, of which view is the end
	counts   recvCounts
	budget   int          // frames that may still be handled in this turn: see deliverBudget
	replies  buffer.Spare // for what a Handler sends
	receiveInProgress
}

// A receiveInProgress is what an activeReceive keeps from one call to the next.
type receiveInProgress struct {
	msgBuf     *buffer.Buffer // the incomplete message of a Handler of Messages
	reader     *messageReader // the latest reader of NextReader, or nil
	timeout    recvTimeout    // of the current receive
	midMessage bool           // the Handler was set in the middle of a message, which has not ended
}

var activeReceives = sync.Pool{New: func() any { return new(activeReceive) }}

// activate takes an activeReceive from the pool, unless there is one.
func (c *Conn) activate() {
	r := &c.receive
	if r.activeReceive == nil {
		r.activeReceive = activeReceives.Get().(*activeReceive)
		r.dec.Init(c.Role(), &c.batch.config.decoderLimits, c.enc.Deflate())
	}
}

// deactivate returns the activeReceive to the pool, unless a message is incomplete or the
// connection has ended. Its counts were published. What isn't cleared here is set when it is used
// again.
func (r *receiveState) deactivate() {
	a := r.activeReceive
	if len(a.view) > 0 || !a.dec.Idle() {
		a.replies.Drop()
		return
	}
	a.receiveInProgress = receiveInProgress{}
	activeReceives.Put(a)
	r.activeReceive = nil
}

// beginRecv is beginPull for calls that receive any message: while a reader of NextReader has one,
// it returns ErrReadOrder.
func (c *Conn) beginRecv() error {
	if err := c.beginPull(); err != nil {
		return err
	}
	if reader := c.receive.reader; reader != nil && reader.open {
		return ErrReadOrder
	}
	return nil
}

// beginPull prepares for a receive without a Handler, or returns why there can be none.
func (c *Conn) beginPull() error {
	r := &c.receive
	if r.handler != nil {
		return ErrHandler
	}
	if r.activeReceive == nil {
		c.activate()
		r.replies.Drop() // what a Handler has left there would be kept until the connection ends
	}
	if r.dec.Err() == nil && r.stop.Load()&(stopAbort|stopPull) != 0 {
		c.discardView()
		c.batch.mu.Lock()
		defer c.batch.mu.Unlock()
		c.publishCountsLocked()
		return r.dec.Fail(c.closing().Ended(ErrClosed, !r.pushed, false))
	}
	return r.dec.Err()
}

// recv is Recv, but writes the header to h: the caller reads it there, which is faster than reading
// a copy of what was just written.
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

// recvUnfragmented receives a whole message into buf if the view begins with one that fits, and
// returns its size. Otherwise it returns -1.
func (c *Conn) recvUnfragmented(h *Header, buf []byte) int {
	r := c.receive.activeReceive
	if r == nil || c.receive.handler != nil || c.receive.stop.Load()&(stopAbort|stopPull) != 0 {
		return -1
	}
	size := r.dec.ReceiveUnfragmented(h, buf, r.view)
	if size == 0 {
		return -1 // if the text is invalid, UnmaskTo returns the error
	}
	n := int(h.Length)
	r.counts.addMessage(n)
	if size < len(r.view) {
		r.view = r.view[size:]
	} else {
		c.consume(size)
	}
	c.sendPongs()
	return n
}

// recvNext receives into buf and writes the header to h, which must be zero.
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

// currentHeader returns the header of the current data frame, or one with OpNone if it isn't
// complete.
func currentHeader(d *engine.Decoder) Header {
	if !d.InFrame() || d.Frame().Opcode.IsControl() {
		return Header{Opcode: OpNone}
	}
	return *d.Frame()
}

// directSize is the least payload for which the transport reads straight into the caller's buffer.
// For less, one read into the transport's buffer is cheaper, as it also gets the frames that
// follow.
const directSize = 4 << 10

// recvDirect receives payload of the current frame from the transport straight into buf.
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

// recvInflated is recvNext for the current frame of a compressed message.
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

// awaitView sends the pongs that are due and waits for the transport's next view.
func (c *Conn) awaitView() error {
	c.sendPongs()
	c.publishCounts()
	if err := c.applyRecvTimeout(); err != nil {
		return c.onReadError(err)
	}
	_, err := c.nextView()
	return err
}

// nextView gets the transport's next view. With a Handler there may be none yet: then wait is true.
// Its stack frame is small, like those of its callers: together with what View needs they fit into
// the first 2 KiB of a goroutine's stack.
func (c *Conn) nextView() (wait bool, err error) {
	for {
		view, err := c.batch.t.View()
		if err == nil {
			r := c.receive.activeReceive
			r.view, r.viewSize = view, len(view)
			r.counts.wire += uint64(len(view))
			return false, nil
		}
		if err == transport.ErrWouldBlock {
			return true, nil
		}
		if !c.handleSendError(err) {
			return false, c.onReadError(err)
		}
	}
}

// consume removes n bytes from the view. When none are left, it returns the view's memory to the
// transport.
func (c *Conn) consume(n int) {
	r := c.receive.activeReceive
	r.view = r.view[n:]
	if len(r.view) == 0 && r.viewSize > 0 {
		c.batch.t.Consume(r.viewSize)
		r.view, r.viewSize = nil, 0
	}
}

// discardView drops what was received and will not be handled. Its memory belongs to the transport.
func (c *Conn) discardView() { c.consume(len(c.receive.view)) }

// handleSendError reports whether err only means that the transport can't send what it has queued,
// and if so ends sending.
func (c *Conn) handleSendError(err error) bool {
	failed, ok := err.(*transport.SendError)
	if ok {
		c.batch.mu.Lock()
		c.writeFailedLocked(failed.Err)
		c.batch.mu.Unlock()
	}
	return ok
}

// onReadError returns the error of a receive for which the transport returned err. Unless err is
// only a timeout, it ends the connection.
func (c *Conn) onReadError(err error) error {
	switch {
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

// A recvTimeout is the time limit of the current RecvTimeout.
type recvTimeout struct {
	bounded bool          // the current receive is a RecvTimeout
	applied bool          // the transport has its deadline
	stale   bool          // the transport may have the deadline of an earlier one
	d       time.Duration // the argument of RecvTimeout
}

// applyRecvTimeout sets the transport's deadline for the current receive. Only receives that read
// from the transport need one.
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

// setRecvTimeout sets the time at which the current RecvTimeout ends. Zero: there is none.
func (c *Conn) setRecvTimeout(until time.Time) error {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.batch.ensureRare().deadlines.recvTimeout = until
	return c.applyRecvDeadlineLocked()
}

// recvTimedOut reports whether the time of the current receive has passed. A peer that only sends
// control frames can't prolong a receive.
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
