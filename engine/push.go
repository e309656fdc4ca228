package engine

import (
	"errors"
	"time"

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
	pusher, ok := c.t.(transport.Pusher)
	if !ok {
		return ErrNoPush
	}
	r := &c.receive
	switch {
	case h == nil || r.handler != nil:
		return ErrHandler
	case r.receiving != nil && r.dec.err != nil:
		return r.dec.err
	case r.receiving != nil && r.wait.stale:
		c.limitWait(time.Time{}) // if it fails, so does what follows
	}
	s := &c.send
	s.mu.Lock()
	if s.closing != nil {
		defer s.mu.Unlock()
		return s.closing
	}
	refused := s.refuses
	mustEnd := r.stop.Load()&stopEnd != 0 // sending has failed
	s.pushed = true
	s.refuses = refused || c.Queues() && c.limits().WhenFull == QueueDefault
	s.mu.Unlock()
	if r.receiving != nil {
		r.partial = r.dec.begun()
	}
	r.handler = h
	err := pusher.Push((*receiver)(c))
	if err != nil {
		if errors.Is(err, transport.ErrUnsupported) {
			err = ErrNoPush
		}
		r.handler = nil
		s.mu.Lock()
		s.pushed, s.refuses = false, refused
		closing := s.closing != nil
		s.mu.Unlock()
		if closing { // it was left to the Handler's transport
			c.t.Close()
		}
		return err
	}
	if mustEnd {
		c.watchEnd()
	}
	return nil
}

// A receiver is a Conn as its transport sees it.
type receiver Conn

func (r *receiver) Readable() (err error) {
	c := (*Conn)(r)
	c.gatherSends()
	c.receive.beginReceiving()
	defer c.receive.endReceiving()
	returned := false
	defer func() {
		if !returned {
			err = c.handlerLeft(recover())
		}
	}()
	err = c.receiveAll()
	returned = true
	if err == ErrTimeout {
		err = c.endOfStream(err)
	}
	c.releaseSends()
	if err == transport.ErrWouldBlock {
		return nil
	}
	c.tellClosed(err)
	return err
}

func (r *receiver) End(err error) {
	c := (*Conn)(r)
	c.receive.beginReceiving()
	defer c.receive.endReceiving()
	if err = c.lost(err); err == ErrTimeout {
		err = c.endOfStream(err)
	}
	c.tellClosed(err)
}

func (r *receiver) Finish() {
	c := (*Conn)(r)
	c.end() // OnClose has told what there is to tell
}

// tellClosed calls OnClose.
func (c *Conn) tellClosed(err error) {
	returned := false
	defer func() {
		if !returned {
			c.tellRecover(recover())
		}
	}()
	c.receive.handler.OnClose(c, err)
	returned = true
}

// handlerLeft ends the connection after OnData, OnPing or OnPong did not return, and returns
// how. v is what it gave to panic, or nil if it called runtime.Goexit.
func (c *Conn) handlerLeft(v any) error {
	if v != nil && c.receive.terms.recover == nil {
		panic(v)
	}
	err := c.fail(&HandlerError{Value: v})
	c.releaseSends()
	defer c.tellClosed(err) // also if Options.Recover doesn't return
	c.tellRecover(v)
	return err
}

// tellRecover tells Options.Recover of a panic, or lets it go on if there is none.
func (c *Conn) tellRecover(v any) {
	switch f := c.receive.terms.recover; {
	case v == nil: // no panic
	case f == nil:
		panic(v)
	default:
		f(c, v)
	}
}

// turnWork is how much a Receive does before other connections have their turn: so many
// frames, or parts of one. What is inflated counts beside that, each inflatedWork bytes as
// much as a frame, since a few bytes can inflate to very many.
const (
	turnWork     = 128
	inflatedWork = 512
)

// receiveAll hands the payload that has come to the Handler, as much as is one turn, unless a
// call of the Handler pauses or aborts the connection.
func (c *Conn) receiveAll() error {
	r := &c.receive
	if r.stop.Load()&stopAbort != 0 {
		return c.stopped(stopAbort)
	}
	r.turn = turnWork
	for {
		if len(r.view) == 0 && !r.dec.inflatable() {
			if err := c.nextView(); err != nil {
				return err
			}
		}
		if r.turn <= 0 && c.yield() {
			return transport.ErrWouldBlock
		}
		r.turn--
		if !c.handOverWhole() {
			if err := c.handOverPart(); err != nil {
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
	if c.t.(transport.Pusher).Yield() {
		c.giveBack()
		return true
	}
	c.receive.turn = turnWork
	return false
}

// stopped returns what receiveAll returns when the Handler is to be left alone, or nil.
func (c *Conn) stopped(stop uint32) error {
	if stop&stopAbort != 0 {
		return c.lost(ErrClosed)
	}
	if stop&stopEnd != 0 {
		c.send.mu.Lock()
		c.setDeferredEnd()
		c.send.mu.Unlock()
		if c.endPassed() {
			return ErrTimeout
		}
	}
	if stop&stopPause != 0 {
		c.giveBack()
		return transport.ErrWouldBlock
	}
	return nil
}

// handOverPart handles what comes next in the view: a header, a part of a frame, or a control
// frame.
func (c *Conn) handOverPart() error {
	r := &c.receive
	d := &r.dec
	n, err := d.begin(r.view)
	switch {
	case err != nil:
		return c.fail(err)
	case d.open && d.h.Opcode.IsData() && !d.compressed:
		r.view = r.view[n:]
		return c.handOver()
	}
	c.used(n)
	switch {
	case !d.open:
		return nil
	case d.h.Opcode.IsControl():
		return c.control()
	}
	return c.handOverInflated()
}

// handOver gives the Handler what the view has of the open data frame.
func (c *Conn) handOver() error {
	r := &c.receive
	d := &r.dec
	payload := r.view[:min(int64(len(r.view)), d.h.Remaining)]
	payload = payload[:len(payload):len(payload)]
	if len(payload) > 0 || d.h.Remaining == 0 {
		if err := d.take(payload); err != nil {
			return c.fail(err)
		}
		r.counts.count(&d.h, len(payload))
		r.handler.OnData(c, d.h, payload)
	}
	c.used(len(payload))
	return nil
}

// gatherSends holds back what the Handler sends until releaseSends.
func (c *Conn) gatherSends() {
	c.send.mu.Lock()
	c.send.handling, c.send.handler = true, goroutine.ID()
	c.send.mu.Unlock()
}

// releaseSends writes what gatherSends has held back.
func (c *Conn) releaseSends() {
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handling = false
	c.receive.answered = false
	c.addCounts()
	c.setDeferredEnd()
	c.release()
}
