package engine

import (
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

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
	*receiving

	handler  Handler // nil: data is pulled
	terms    *terms
	role     Role
	answered bool          // pongs wait to be sent
	stop     atomic.Uint32 // what stops receiving: stopPause and so on; 0: nothing
}

// What stops calls of a Handler, and receiving by pulling.
const (
	stopPause = 1 << iota // Pause, until Resume: the Handler
	stopAbort             // Abort, for good: either
	stopPull              // Close without a Handler, for good
	stopEnd               // limitEnd, once the time is over: either
)

type receiving struct {
	dec      Decoder
	view     []byte // received bytes not handled yet
	viewed   int    // size of the transport's view that they are the end of
	counts   recentCounts
	gathered *buffer.Buffer // for Messages: the message under way
	turn     int            // work that a Receive may still do, see turnWork
	wait     waiting        // of a receive by pulling
	reader   *messageReader // the latest of NextReader; nil: there was none
	partial  bool           // the Handler began in the middle of a message
}

var idleReceivings = sync.Pool{New: func() any { return new(receiving) }}

// beginReceiving sees to it that there is what receiving needs.
func (r *receiveState) beginReceiving() {
	if r.receiving == nil {
		r.receiving = idleReceivings.Get().(*receiving)
		r.dec.role, r.dec.terms = r.role, r.terms
	}
}

// endReceiving leaves that to others, unless a message is cut or it is over.
func (r *receiveState) endReceiving() {
	if len(r.view) == 0 && r.dec.idle() {
		*r.receiving = receiving{}
		idleReceivings.Put(r.receiving)
		r.receiving = nil
	}
}

// beginPull begins a receive by pulling, or returns why nothing can be pulled.
func (c *Conn) beginPull() error {
	r := &c.receive
	if r.handler != nil {
		return ErrHandler
	}
	r.beginReceiving()
	if r.dec.err == nil && r.stop.Load()&(stopAbort|stopPull) != 0 {
		c.used(len(r.view)) // nobody wants it any more, and its memory is borrowed
		c.send.mu.Lock()
		defer c.send.mu.Unlock()
		return r.dec.fail(c.send.howEnded(ErrClosed))
	}
	return r.dec.err
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
	if n := c.recvWhole(h, buf); n >= 0 {
		return n, nil
	}
	if err := c.beginRecv(); err != nil {
		h.Opcode = OpNone
		return 0, err
	}
	c.receive.wait.bounded = false
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
	w := &c.receive.wait
	w.bounded, w.begun, w.most = true, false, d
	n, err = c.recvNext(&h, buf)
	return h, n, err
}

// recvNext receives into buf and writes the header to h, which is zero.
func (c *Conn) recvNext(h *Header, buf []byte) (int, error) {
	r := &c.receive
	d := &r.dec
	for {
		if len(r.view) == 0 && !d.inflatable() {
			if d.open && len(buf) >= directSize && d.h.Remaining >= directSize && !d.compressed {
				return c.recvDirect(h, buf)
			}
			if d.open && len(buf) == 0 && !d.h.Opcode.IsControl() {
				*h = d.h
				return 0, nil
			}
			if err := c.fill(); err != nil {
				*h = d.header()
				return 0, err
			}
		}
		if n := c.recvWhole(h, buf); n >= 0 {
			return n, nil
		}
		n, err := d.begin(r.view)
		if err != nil {
			h.Opcode = OpNone
			return 0, c.fail(err)
		}
		c.used(n)
		if !d.open {
			c.answer()
			h.Opcode = OpNone
			return 0, nil
		}
		if d.h.Opcode.IsControl() {
			if err := c.control(); err != nil {
				h.Opcode = OpNone
				return 0, err
			}
			if len(r.view) == 0 && c.waitedEnough() {
				c.answer()
				*h = d.header()
				return 0, ErrTimeout
			}
			continue
		}
		if d.compressed {
			return c.recvInflated(h, buf)
		}
		payload, err := d.move(buf, r.view)
		c.used(len(payload))
		if err != nil {
			h.Opcode = OpNone
			return 0, c.fail(err)
		}
		r.counts.count(&d.h, len(payload))
		c.answer()
		*h = d.h
		return len(payload), nil
	}
}

// recvDirect receives payload of the open frame from the transport straight into
// the caller's buffer.
func (c *Conn) recvDirect(h *Header, buf []byte) (int, error) {
	r := &c.receive
	d := &r.dec
	c.answer()
	if int64(len(buf)) > d.h.Remaining {
		buf = buf[:d.h.Remaining]
	}
	c.publish()
	n, err := 0, c.beginWait()
	if err == nil {
		n, err = c.t.Read(buf)
	}
	for n == 0 && err != nil && c.sendingFailed(err) {
		n, err = c.t.Read(buf)
	}
	if n == 0 && err != nil {
		*h = d.h
		return 0, c.lost(err)
	}
	r.counts.wire += uint64(n)
	if err := d.take(buf[:n]); err != nil {
		h.Opcode = OpNone
		return 0, c.fail(err)
	}
	r.counts.count(&d.h, n)
	*h = d.h
	return n, nil
}

// fill waits for the transport's next view. Pongs leave first.
func (c *Conn) fill() error {
	c.answer()
	c.publish()
	if err := c.beginWait(); err != nil {
		return c.lost(err)
	}
	return c.nextView()
}

// nextView takes the transport's next view. Its frame is small, as are those that call it: with
// what View needs to wait they fit into the 2 KiB of a goroutine's first stack.
func (c *Conn) nextView() error {
	for {
		view, err := c.t.View()
		if err == nil {
			r := &c.receive
			r.view, r.viewed = view, len(view)
			r.counts.wire += uint64(len(view))
			return nil
		}
		if !c.sendingFailed(err) {
			return c.lost(err)
		}
	}
}

// sendingFailed reports whether the transport only said that what it had queued can't be sent.
func (c *Conn) sendingFailed(err error) bool {
	failed, ok := err.(*transport.SendError)
	if ok {
		c.send.mu.Lock()
		c.sendFailed(failed.Err)
		c.send.mu.Unlock()
	}
	return ok
}

// used drops n bytes of the view. With the last one the transport gets its buffer
// back.
func (c *Conn) used(n int) {
	r := &c.receive
	r.view = r.view[n:]
	if len(r.view) == 0 && r.viewed > 0 {
		c.t.Consume(r.viewed)
		r.view, r.viewed = nil, 0
	}
}

// control handles payload of the open control frame. The view may end within.
func (c *Conn) control() error {
	r := &c.receive
	kind, payload, n, err := r.dec.control(r.view)
	switch {
	case err != nil:
		err = c.fail(err)
	case kind == EventPing:
		r.counts.pings++
		c.pong(payload)
		c.tellPing(payload)
	case kind == EventPong:
		r.counts.pongs++
		if h, ok := r.handler.(PongHandler); ok {
			h.OnPong(c, payload)
		}
	case kind == EventClose:
		err = c.peerClosed(payload)
	}
	c.used(n)
	return err
}

// tellPing tells the user of a ping.
func (c *Conn) tellPing(payload []byte) {
	if f := c.receive.terms.onPing; f != nil {
		f(c, payload)
	}
	if h, ok := c.receive.handler.(PingHandler); ok {
		h.OnPing(c, payload)
	}
}

// answer sends the pongs that wait. That they can't be sent is no error of
// receiving.
func (c *Conn) answer() {
	if c.receive.answered {
		c.flushAnswers()
	}
}

// lost turns an error of the transport into what the caller gets, and ends the
// connection unless it is a mere timeout.
func (c *Conn) lost(err error) error {
	switch {
	case err == transport.ErrWouldBlock:
		return err
	case errors.Is(err, os.ErrDeadlineExceeded):
		if !c.mustEnd() {
			return ErrTimeout
		}
		err = ErrTimeout
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return c.receive.dec.fail(c.endOfStream(err))
}
