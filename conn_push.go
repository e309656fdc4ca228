package websock

import (
	"errors"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// SetHandler makes h receive the data from now on, in place of Recv: first what has already
// arrived, then what the transport reads. It must not be called during a receive. Afterwards
// receiving calls return ErrHandler. If a message has been received in part, OnData gets the rest;
// a Handler of Messages, which delivers whole messages, skips it.
//
// ErrNoPush means that the transport doesn't support Handlers, ErrHandler that there already is a
// Handler or that h is nil. After Close, Abort or the end of the connection the error is that of a
// receive. After any error the connection has no Handler and must be closed.
func (c *Conn) SetHandler(h Handler) error {
	pusher, ok := c.batch.t.(transport.Pusher)
	if !ok {
		return ErrNoPush
	}
	r := &c.receive
	switch {
	case h == nil || r.handler != nil:
		return ErrHandler
	case r.activeReceive != nil && r.dec.Err() != nil:
		return r.dec.Err()
	case r.activeReceive != nil && r.timeout.stale:
		c.setRecvTimeout(time.Time{}) // if this fails, so does Push
	}
	w := &c.batch
	w.mu.Lock()
	if c.closing().Begun() {
		defer w.mu.Unlock()
		return c.closing().SendErr()
	}
	refused := w.refuses
	sendingEnded := r.stop.Load()&stopCloseTimeout != 0 // sending has failed
	r.pushed = true
	w.refuses = refused || c.Queues() && c.limits().WhenFull == QueueDefault
	w.mu.Unlock()
	if r.activeReceive != nil {
		r.midMessage = r.dec.MessageBegun()
	}
	r.handler = h
	err := pusher.Push((*receiver)(c))
	if err != nil {
		if errors.Is(err, transport.ErrUnsupported) {
			err = ErrNoPush
		}
		r.handler = nil
		w.mu.Lock()
		r.pushed, w.refuses = false, refused
		begun := c.closing().Begun()
		w.mu.Unlock()
		if begun { // Close has left this to the transport of a Handler
			w.t.Close()
		}
		return err
	}
	if sendingEnded {
		c.startCloseWatchdog()
	}
	return nil
}

// Pause stops calls of OnData until Resume. A call of OnData that is running is the last one; if
// Pause is called from another goroutine, one more may follow. Data that arrives meanwhile stays
// with the system, so the peer has to wait. This way a Handler that would block an event loop can
// do its work on a goroutine of its own:
//
//	func (h *handler) OnData(c *Conn, hdr Header, payload []byte) {
//		work := bytes.Clone(payload)
//		c.Pause()
//		go func() {
//			h.slow(work)
//			c.Resume()
//		}()
//	}
//
// During a pause, pings aren't answered and the end of the connection isn't noticed, but Abort and
// a receive deadline take effect: they cause OnClose, without another OnData. Close doesn't end a
// pause: data that has arrived, and the peer's close frame, are handled after Resume. Without
// Resume, OnClose is called after Limits.CloseTimeout. Pause may be called from any goroutine;
// without a Handler it does nothing.
func (c *Conn) Pause() {
	c.batch.mu.Lock() // so that a concurrent Resume comes before or after, not between
	defer c.batch.mu.Unlock()
	if t, ok := c.batch.t.(transport.Pusher); ok && c.receive.pushed {
		t.Pause() // first, so that the transport calls Readable again for what is left
		c.receive.stop.Or(stopPause)
	}
}

// Resume ends a pause. It may be called from any goroutine, even if there is no pause.
func (c *Conn) Resume() {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	if c.receive.stop.And(^uint32(stopPause))&stopPause != 0 {
		c.batch.ensureCounts().ensureRare().pauses++
		c.batch.t.(transport.Pusher).Resume()
	}
}

// Paused reports whether Pause was called, and not Resume. It may be called from any goroutine.
func (c *Conn) Paused() bool { return c.receive.stop.Load()&stopPause != 0 }

// A receiver is a Conn as a transport.Receiver.
type receiver Conn

// Readable handles the bytes that have arrived.
func (r *receiver) Readable() (err error) {
	c := (*Conn)(r)
	c.enterHandler()
	returned := false
	defer func() {
		if !returned {
			err = c.handlerFailed(recover())
		}
	}()
	err = c.deliverAll()
	returned = true
	if err == ErrTimeout {
		err = c.streamEnded(err)
	}
	c.leaveHandler()
	if err != nil {
		c.callOnClose(err)
	}
	c.receive.deactivate()
	return err
}

// End handles the end of the stream. What the last call of Readable has left of the view is discarded.
func (r *receiver) End(err error) {
	c := (*Conn)(r)
	c.activate()
	defer c.receive.deactivate()
	if view, err := c.batch.t.View(); err == nil {
		c.batch.t.Consume(len(view))
	}
	if err = c.onReadError(err); err == ErrTimeout {
		err = c.streamEnded(err)
	}
	c.callOnClose(err)
}

// Finish ends the connection after OnClose.
//
// Where the transport queues, its goroutine serves other connections, too. It must not wait for a
// sender, which may wait for the peer: on a stream, until that goroutine has received a WINDOW_UPDATE.
func (r *receiver) Finish() {
	c := (*Conn)(r)
	c.batch.mu.Lock()
	if c.batch.state == writerBusy && c.Queues() {
		c.batch.mu.Unlock()
		go c.shutdown()
		return
	}
	c.shutdownLocked() // its error was passed to OnClose
}

// enterHandler makes the batchWriter hold back what this goroutine sends, until leaveHandler.
func (c *Conn) enterHandler() {
	c.activate()
	c.batch.handler.Store(goroutine.ID())
}

// deliverBudget is how many frames, or parts of frames, one connection handles before the other
// connections have their turn. As a few bytes can inflate to many, each inflatedPerFrame bytes of
// inflated payload also count as a frame.
const (
	deliverBudget    = 128
	inflatedPerFrame = 512
)

// deliverAll passes the payload that has arrived to the Handler, until deliverBudget is used up or
// the connection is paused or aborted. Its error ends the connection.
func (c *Conn) deliverAll() error {
	r := c.receive.activeReceive
	stop := c.receive.stop.Load() & stopAbort
	for r.budget = deliverBudget; ; stop = c.receive.stop.Load() {
		if stop != 0 {
			if wait, err := c.stopped(stop); wait || err != nil {
				return err
			}
		}
		if len(r.view) == 0 && !r.dec.CanInflate() {
			if wait, err := c.nextView(); wait || err != nil {
				return err
			}
		}
		if r.budget <= 0 && c.yield() {
			return nil
		}
		if !c.deliverUnfragmented() {
			r.budget--
			if err := c.deliverNext(); err != nil {
				return err
			}
		}
	}
}

// deliverUnfragmented passes the whole messages with which the view begins to the Handler, and reports
// whether there was one.
func (c *Conn) deliverUnfragmented() (delivered bool) {
	r := c.receive.activeReceive
	m, _ := c.receive.handler.(*messages)
	for {
		op, header, n := r.dec.Unfragmented(r.view)
		if header == 0 {
			return delivered
		}
		frame := r.view[: header+n : header+n]
		if !r.dec.AcceptUnfragmented(op, frame, header) {
			return delivered
		}
		delivered = true
		r.budget--
		r.counts.addMessage(n)
		switch {
		case m != nil: // as OnData would
			m.deliver(c, op, frame[header:])
		case c.Role() == Client:
			c.receive.handler.OnData(c, Header{Fin: true, Opcode: op, Length: int64(n)}, frame[header:])
		default: // assigning to a Header and passing that would copy what was just written
			key := maskingKey(frame[:header])
			c.receive.handler.OnData(c, Header{Fin: true, Opcode: op, Masked: true, Key: key, Length: int64(n)}, frame[header:])
		}
		if header+n == len(r.view) {
			c.consume(header + n)
			return true
		}
		r.view = r.view[header+n:]
		if r.budget <= 0 || c.receive.stop.Load() != 0 {
			return true
		}
	}
}

// maskingKey returns the masking key that ends a header (RFC 6455 section 5.2).
func maskingKey(header []byte) [4]byte { return [4]byte(header[len(header)-4:]) }

// deliverNext handles what comes next in the view: a header, payload of a data frame, or a control
// frame.
func (c *Conn) deliverNext() error {
	r := &c.receive
	d := &r.dec
	n, err := d.NextHeader(r.view)
	switch {
	case err != nil:
		return c.failProtocol(err)
	case d.InFrame() && d.Frame().Opcode.IsData() && !d.Compressed():
		r.view = r.view[n:]
		return c.deliverPayload()
	}
	c.consume(n)
	switch {
	case !d.InFrame():
		return nil
	case d.Frame().Opcode.IsControl():
		return c.handleControl()
	}
	return c.deliverInflated()
}

// deliverPayload passes the payload that the view has of the current data frame to the Handler.
func (c *Conn) deliverPayload() error {
	r := &c.receive
	d := &r.dec
	payload := r.view[:min(int64(len(r.view)), d.Frame().Remaining)]
	payload = payload[:len(payload):len(payload)]
	if len(payload) > 0 || d.Frame().Remaining == 0 {
		if err := d.UnmaskInPlace(payload); err != nil {
			return c.failProtocol(err)
		}
		r.counts.addPayload(d.Frame(), len(payload))
		r.handler.OnData(c, *d.Frame(), payload)
	}
	c.consume(len(payload))
	return nil
}

// inflatedSize is how many bytes of a compressed message a Handler gets at once.
const inflatedSize = 16 << 10

// deliverInflated passes what can be inflated of the current frame to the Handler.
func (c *Conn) deliverInflated() error {
	r := &c.receive
	d := &r.dec
	room := buffer.Get(inflatedSize)
	defer room.Put()
	for {
		payload, used, err := d.Inflate(room.B[:inflatedSize], r.view)
		c.consume(used)
		if err != nil {
			return c.failProtocol(err)
		}
		r.counts.addPayload(d.Frame(), len(payload))
		r.counts.addInflated(used, len(payload))
		r.budget -= 1 + len(payload)/inflatedPerFrame
		if len(payload) > 0 || d.Frame().Remaining == 0 {
			r.handler.OnData(c, *d.Frame(), payload[:len(payload):len(payload)])
		}
		if r.budget <= 0 || r.stop.Load() != 0 || !d.InFrame() || len(r.view) == 0 && !d.CanInflate() {
			return nil
		}
	}
}

// yield leaves the rest of the view to the next Readable. It reports whether the transport supports
// that.
func (c *Conn) yield() bool {
	if c.batch.t.(transport.Pusher).Yield() {
		c.returnView()
		return true
	}
	c.receive.budget = deliverBudget
	return false
}

// stopped reports whether the Handler must not be called now. An error ends the connection.
func (c *Conn) stopped(stop uint32) (wait bool, err error) {
	if stop&stopAbort != 0 {
		return false, c.onReadError(ErrClosed)
	}
	if stop&stopCloseTimeout != 0 {
		c.batch.mu.Lock()
		c.applyDeferredDeadlinesLocked()
		c.batch.mu.Unlock()
		if c.closeDeadlinePassed() {
			return false, ErrTimeout
		}
	}
	if stop&stopPause != 0 {
		c.returnView()
		return true, nil
	}
	return false, nil
}

// returnView leaves the unhandled rest of the view to the transport.
func (c *Conn) returnView() {
	r := &c.receive
	if len(r.view) > 0 {
		r.counts.wire -= uint64(len(r.view))
		c.batch.t.Consume(r.viewSize - len(r.view))
		r.view, r.viewSize = nil, 0
	}
}

// leaveHandler writes what was held back since enterHandler, and keeps its memory for the next time.
func (c *Conn) leaveHandler() {
	w := &c.batch
	w.mu.Lock()
	w.handler.Store(0)
	c.receive.pongPending = false
	c.publishCountsLocked()
	c.applyDeferredDeadlinesLocked()
	if w.pending != nil && w.state == writerIdle && !w.corked && c.closing().MaySend() {
		c.writeHeldBackLocked()
	} else {
		w.flushPending(c)
	}
	w.mu.Unlock()
}

// writeHeldBackLocked writes the pending batch without waiting for the peer. It isn't called when the
// connection is closing: then nothing must be written behind, because Queued doesn't count that, and
// shutdown would not wait for it.
func (c *Conn) writeHeldBackLocked() {
	w := &c.batch
	b := w.takePending(c)
	if !w.writeWithoutWaiting(c, b, true) {
		return
	}
	c.receive.replies.Put(b)
	if w.unowned || w.rare != nil {
		w.writeUnowned(c)
	}
}

// callOnClose calls OnClose, after the last write if the stream ends when the http.Handler returns: that
// may return as soon as OnClose was called, and the close frame would be lost.
func (c *Conn) callOnClose(err error) {
	if t, ok := c.batch.t.(*std.Conn); ok && handshake.EndsWithHandler(t.NetConn()) {
		c.batch.mu.Lock()
		c.batch.awaitIdle(c)
		c.batch.mu.Unlock()
	}
	returned := false
	defer func() {
		if !returned {
			c.callRecover(recover())
		}
	}()
	c.receive.handler.OnClose(c, err)
	returned = true
}

// handlerFailed ends the connection after OnData, OnPing or OnPong did not return, and returns its
// error. v is the value given to panic, or nil after runtime.Goexit.
func (c *Conn) handlerFailed(v any) error {
	if v != nil && c.batch.config.recover == nil {
		panic(v)
	}
	err := c.failProtocol(&HandlerError{Value: v})
	c.leaveHandler()
	defer c.callOnClose(err) // even if Options.Recover doesn't return
	c.callRecover(v)
	return err
}

// callRecover calls Options.Recover after a panic. Without one it panics again.
func (c *Conn) callRecover(v any) {
	switch f := c.batch.config.recover; {
	case v == nil: // no panic
	case f == nil:
		panic(v)
	default:
		f(c, v)
	}
}
