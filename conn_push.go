package websock

import (
	"errors"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/transport"
)

// SetHandler makes data arrive by callback from now on, instead of through Recv:
// first what is here already, then what the transport says has come. It must not
// be called while a receive is under way. From then on the receiving calls return
// ErrHandler. A message of which a part was received already goes on with OnData; a
// Handler of Messages, which wants whole ones, leaves the rest of it out.
//
// ErrNoPush says that the transport can't do it, ErrHandler that there is a
// Handler already or that h is nil. After Close, Abort or the end of the connection the
// error is that of a receive. After any error there is no Handler, and Close ends the
// connection.
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
		c.setRecvTimeout(time.Time{}) // if it fails, so does what follows
	}
	w := &c.batch
	w.mu.Lock()
	if c.closing.Begun() {
		defer w.mu.Unlock()
		return c.closing.SendErr()
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
		closing := c.closing.Begun()
		w.mu.Unlock()
		if closing { // it was left to the Handler's transport
			w.t.Close()
		}
		return err
	}
	if sendingEnded {
		c.startCloseWatchdog()
	}
	return nil
}

// A receiver is a Conn as its transport sees it.
type receiver Conn

func (r *receiver) Readable() (err error) {
	c := (*Conn)(r)
	c.enterHandler()
	c.activate()
	defer c.receive.deactivate()
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
	if err == transport.ErrWouldBlock {
		return nil
	}
	c.callOnClose(err)
	return err
}

func (r *receiver) End(err error) {
	c := (*Conn)(r)
	c.activate()
	defer c.receive.deactivate()
	if err = c.onReadError(err); err == ErrTimeout {
		err = c.streamEnded(err)
	}
	c.callOnClose(err)
}

func (r *receiver) Finish() {
	c := (*Conn)(r)
	c.shutdown() // OnClose has told what there is to tell
}

// callOnClose calls OnClose.
func (c *Conn) callOnClose(err error) {
	returned := false
	defer func() {
		if !returned {
			c.callRecover(recover())
		}
	}()
	c.receive.handler.OnClose(c, err)
	returned = true
}

// handlerFailed ends the connection after OnData, OnPing or OnPong did not return, and returns
// how. v is what it gave to panic, or nil if it called runtime.Goexit.
func (c *Conn) handlerFailed(v any) error {
	if v != nil && c.batch.config.recover == nil {
		panic(v)
	}
	err := c.failProtocol(&HandlerError{Value: v})
	c.leaveHandler()
	defer c.callOnClose(err) // also if Options.Recover doesn't return
	c.callRecover(v)
	return err
}

// callRecover tells Options.Recover of a panic, or lets it go on if there is none.
func (c *Conn) callRecover(v any) {
	switch f := c.batch.config.recover; {
	case v == nil: // no panic
	case f == nil:
		panic(v)
	default:
		f(c, v)
	}
}

// inflatedSize is how much a Handler gets at once of a compressed message.
const inflatedSize = 16 << 10

// deliverBudget is how much a Receive does before other connections have their turn: so many
// frames, or parts of one. What is inflated counts beside that, each inflatedPerFrame bytes as
// much as a frame, since a few bytes can inflate to very many.
const (
	deliverBudget    = 128
	inflatedPerFrame = 512
)

// deliverAll hands the payload that has come to the Handler, as much as is one turn, unless a
// call of the Handler pauses or aborts the connection.
func (c *Conn) deliverAll() error {
	r := &c.receive
	if r.stop.Load()&stopAbort != 0 {
		return c.stopped(stopAbort)
	}
	r.budget = deliverBudget
	for {
		if len(r.view) == 0 && !r.dec.CanInflate() {
			if err := c.nextView(); err != nil {
				return err
			}
		}
		if r.budget <= 0 && c.yield() {
			return transport.ErrWouldBlock
		}
		r.budget--
		if !c.deliverUnfragmented() {
			if err := c.deliverNext(); err != nil {
				return err
			}
		}
		if stop := r.stop.Load(); stop != 0 {
			if err := c.stopped(stop); err != nil {
				return err
			}
		}
	}
}

// yield leaves the rest of the view to the next Receive. It reports whether the transport can
// do that.
func (c *Conn) yield() bool {
	if c.batch.t.(transport.Pusher).Yield() {
		c.returnView()
		return true
	}
	c.receive.budget = deliverBudget
	return false
}

// stopped returns what deliverAll returns when the Handler is to be left alone, or nil.
func (c *Conn) stopped(stop uint32) error {
	if stop&stopAbort != 0 {
		return c.onReadError(ErrClosed)
	}
	if stop&stopCloseTimeout != 0 {
		c.batch.mu.Lock()
		c.applyDeferredDeadlinesLocked()
		c.batch.mu.Unlock()
		if c.closeDeadlinePassed() {
			return ErrTimeout
		}
	}
	if stop&stopPause != 0 {
		c.returnView()
		return transport.ErrWouldBlock
	}
	return nil
}

// deliverNext handles what comes next in the view: a header, a part of a frame, or a control
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

// deliverPayload gives the Handler what the view has of the open data frame.
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

// enterHandler holds back what the Handler sends until leaveHandler.
func (c *Conn) enterHandler() {
	c.batch.mu.Lock()
	c.batch.handler = goroutine.ID()
	c.batch.mu.Unlock()
}

// leaveHandler writes what enterHandler has held back.
func (c *Conn) leaveHandler() {
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler = 0
	c.receive.pongPending = false
	c.publishCountsLocked()
	c.applyDeferredDeadlinesLocked()
	w.flushPending(c)
}

// deliverUnfragmented gives the Handler a whole message, if the view begins with one.
func (c *Conn) deliverUnfragmented() bool {
	r := &c.receive
	op, header, n := r.dec.Unfragmented(r.view)
	if header == 0 {
		return false
	}
	payload := r.view[header : header+n : header+n]
	if !r.dec.AcceptUnfragmented(op, payload) {
		return false
	}
	r.counts.addMessage(n)
	r.handler.OnData(c, Header{Fin: true, Opcode: op, Length: int64(n)}, payload)
	c.consume(header + n)
	return true
}

// deliverInflated gives the Handler what can be inflated of the open frame.
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

// Pause tells the transport to leave the Handler alone until Resume: after the OnData
// under way, or at most one more when Pause comes from another goroutine, no other is
// called. What comes meanwhile stays with the system, so that the peer has to wait. So a
// Handler that would block an event loop can go on in a goroutine of its own:
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
// While paused, pings aren't answered and the end of the connection isn't noticed, but
// Abort and a receive deadline are: OnClose then comes during the pause, OnData never does.
// Close doesn't end a pause. What has come, and the peer's answer, are received after Resume;
// without one, OnClose comes after Limits.CloseTimeout. Pause may be called from any
// goroutine; without a Handler it does nothing.
func (c *Conn) Pause() {
	c.batch.mu.Lock() // so that a Resume meanwhile doesn't get ahead of it
	defer c.batch.mu.Unlock()
	if t, ok := c.batch.t.(transport.Pusher); ok && c.receive.pushed {
		t.Pause() // first, so that it knows when we leave something
		c.receive.stop.Or(stopPause)
	}
}

// Resume ends what Pause began. It may be called from any goroutine, also when there is
// no pause.
func (c *Conn) Resume() {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	if c.receive.stop.And(^uint32(stopPause))&stopPause != 0 {
		c.batch.t.(transport.Pusher).Resume()
	}
}

// Paused reports whether the Handler is to be left alone. It may be called from any
// goroutine.
func (c *Conn) Paused() bool { return c.receive.stop.Load()&stopPause != 0 }

// returnView leaves what was not handled of the view to the transport.
func (c *Conn) returnView() {
	r := &c.receive
	if len(r.view) > 0 {
		r.counts.wire -= uint64(len(r.view))
		c.batch.t.Consume(r.viewSize - len(r.view))
		r.view, r.viewSize = nil, 0
	}
}
