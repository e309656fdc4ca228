package websock

import (
	"errors"
	"fmt"
	"os"
	"time"
	"weak"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/timing"
)

// Close closes the connection with CloseNormal. See CloseWith.
func (c *Conn) Close() error { return c.CloseWith(CloseNormal, "") }

// CloseWith performs the closing handshake (RFC 6455 section 7.1.2) and closes
// the transport: it sends a close frame with code and reason, unless one was sent
// already, and waits for the peer to end the connection. Both together take at
// most Limits.CloseTimeout, whatever deadlines are set meanwhile. What the peer
// sends in that time is discarded. With a Handler it does not wait, neither for
// the peer nor for other senders: data still goes to OnData, and OnClose tells the
// end within Limits.CloseTimeout.
//
// It may be called from any goroutine, any number of times; only the first call
// does anything. A receive under way returns a *CloseError with Local set, and so do later
// ones, whatever had come. After the connection was lost they return what they did before, and
// so does Err.
//
// Nil says that the close frame was written and the peer has ended the connection; or that there
// was nothing to wait for: there is a Handler, the connection was over, or another call of Close
// is under way, which may have to wait longer; or that Abort has cut the wait short. Whether the
// peer's close frame came, and so all that was sent before, only a Handler is told: see
// CloseError.
//
// Errors before anything is done: ErrCloseCode, ErrInvalidUTF8 for the reason,
// ErrControlTooLong for a reason of more than 123 bytes. Otherwise the transport
// is closed, and the error says why the closing handshake is incomplete: one that
// is ErrTimeout, or the *CloseError of a failed write.
func (c *Conn) CloseWith(code CloseCode, reason string) error {
	if err := engine.CheckClose(code, reason); err != nil {
		return err
	}
	w := &c.batch
	w.mu.Lock()
	pushed := c.receive.pushed
	var err error
	if !pushed {
		c.receive.stop.Or(stopPull)
	}
	how := &CloseError{Code: code, Reason: reason, Local: true, Err: ErrClosed}
	switch sends := c.closing.SendClose(how); {
	case sends && pushed: // by a Handler, perhaps, which must not wait for the peer
		c.encodeCloseLocked(code, reason)
		w.flushHeldBack(c)
		err = c.closing.WriteErr()
	case sends:
		c.encodeCloseLocked(code, reason)
		err = c.commitLocked()
	}
	w.mu.Unlock()
	if pushed {
		return err
	}
	return errors.Join(err, c.shutdown())
}

// encodeCloseLocked appends a close frame to the pending batch, after which nothing is sent, and begins
// the time within which the connection ends. The lock is held.
func (c *Conn) encodeCloseLocked(code CloseCode, reason string) {
	c.batch.corked = false
	c.batch.dropPing()
	c.startCloseTimeoutLocked()
	var payload [engine.MaxControlPayload]byte
	c.encodeLocked(OpClose, true, engine.AppendClose(payload[:0], code, reason))
}

// end closes the transport as RFC 6455 section 7.1.1 has it: the server first, at
// once when the peer's close frame is here; the client when the server did.
func (c *Conn) shutdown() error {
	w := &c.batch
	w.mu.Lock()
	again := c.receive.shuttingDown
	c.receive.shuttingDown = true
	if !again {
		w.awaitIdle(c) // what ends the stream must not overtake a close frame that is left to a sender
	}
	failed := w.state == writerStopped
	atOnce := failed || !c.closing.MayReceive() && c.Role() == Server && w.t.Queued() == 0
	timeout := time.Until(w.rareOrZero().deadlines.finalRecv)
	w.mu.Unlock()
	if c.Role() == Server && !again && !failed {
		c.batch.t.CloseWrite() // if it fails, the peer's timeout ends the wait
	}
	switch {
	case again:
		return nil
	case atOnce || c.limits().CloseTimeout < 0:
		return c.batch.t.Close()
	case timeout <= 0:
		c.batch.t.Close()
		return errNotCompleted
	}
	err := c.batch.t.Linger(timeout)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errNotCompleted
	}
	return err
}

var errNotCompleted = fmt.Errorf("websock: closing handshake not completed by the peer: %w", ErrTimeout)

// peerClosed answers the peer's close frame (RFC 6455 section 5.5.1) and returns
// what further receives return.
func (c *Conn) peerClosed(payload []byte) error {
	code, reason, _ := engine.ParseClose(payload) // the Decoder has checked it
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.publishCountsLocked()
	answer, err := c.closing.ReceiveClose(&CloseError{Code: code, Reason: string(reason)})
	if answer {
		c.encodeCloseLocked(code, "")
		c.batch.flushPending(c)
	}
	return c.receive.dec.Fail(err)
}

// fail tells the peer what it did wrong (RFC 6455 section 7.1.7), or that we did, and
// returns the error that further receives return.
func (c *Conn) failProtocol(err error) error {
	code := CloseProtocolError
	reason := ""
	switch err := err.(type) {
	case *ProtocolError:
		code, reason = err.Code, err.Rule
	case *LimitError:
		code, reason = err.Code, "limit "+err.Limit+" exceeded"
	case *HandlerError:
		code = CloseInternalError
	}
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.publishCountsLocked()
	if c.closing.SendClose(&CloseError{Code: code, Reason: reason, Local: true, Err: err}) {
		c.encodeCloseLocked(code, reason)
		c.batch.flushPending(c)
	}
	return c.receive.dec.Fail(err)
}

// streamEnded notes that nothing more comes, for the reason err, and returns what
// further calls return.
func (c *Conn) streamEnded(err error) error {
	w := &c.batch
	w.mu.Lock()
	c.publishCountsLocked()
	w.handler = 0
	w.flushPending(c)                                        // what was sent while the last bytes were handled
	closesElsewhere := c.closing.Begun() || c.receive.pushed // in Close, or by the transport that pushes
	how := c.closing.StreamEnded(err, isClosed(err) && !c.receive.pushed, err == ErrTimeout)
	w.stop()
	w.broadcast()
	w.mu.Unlock()
	if !closesElsewhere {
		w.t.Close()
	}
	return how
}

// A closeWatchdog ends a connection whose Handler doesn't return. The time limits of startCloseTimeoutLocked are
// kept by the transport, which for an event loop means by the goroutine that the Handler holds
// up. It doesn't keep the connection in memory.
type closeWatchdog struct {
	conn weak.Pointer[Conn]
	late bool // the time of startCloseTimeoutLocked was over at the last run
}

// startCloseWatchdog begins a closeWatchdog. It has a timer of its own, since to show the peer the end of the
// stream may take as long as the peer reads nothing.
func (c *Conn) startCloseWatchdog() {
	timing.After(c.closeTimeout(), &closeWatchdog{conn: weak.Make(c)})
}

// Run comes when the time within which the connection has to end is over, and once more as
// long after. At first the peer is shown the end of the stream, if all that was sent has left;
// what it has answered can still be received when the Handler returns. Then the connection is
// closed.
func (b *closeWatchdog) Run() time.Duration {
	c := b.conn.Value()
	if c == nil {
		return 0
	}
	w := &c.batch
	w.mu.Lock()
	switch {
	case c.receive.shuttingDown: // which has its own bound
		w.mu.Unlock()
		return 0
	case !b.late:
		b.late = true
		c.closeWriteLocked()
		w.mu.Unlock()
		return c.closeTimeout()
	}
	c.closing.SendFailed(&CloseError{Code: CloseAbnormal, Err: ErrTimeout})
	w.stop()
	w.broadcast()
	w.mu.Unlock()
	w.t.Close()
	return 0
}

// closeWriteLocked shows the peer the end of the stream unless something waits to be written. The
// lock is held, but not meanwhile.
func (c *Conn) closeWriteLocked() {
	w := &c.batch
	if w.state != writerIdle || w.pending != nil || w.t.Queued() > 0 {
		return
	}
	w.state = writerBusy
	w.mu.Unlock()
	w.t.CloseWrite() // what it can't do, Close does later
	w.mu.Lock()
	w.endWrite()
	w.broadcast()
}

// Abort ends the connection at once, without a closing handshake: what was sent and has not
// left is lost, and the peer sees the stream end (RFC 6455 section 7.1.7 calls it failing the
// connection). Receives and sends return, and OnClose gets, a *CloseError with CloseAbnormal,
// Local set and cause in its chain; nil stands for ErrClosed. After Close or the end of the
// connection it does nothing but cut Close's wait short.
//
// It may be called from any goroutine, also in a Handler, and waits for nothing: neither for
// a Handler that is at work nor for the peer. After it no OnData is called, only OnClose; when
// it comes from another goroutine, an OnData that is being called is the last one.
func (c *Conn) Abort(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	how := &CloseError{Code: CloseAbnormal, Local: true, Err: cause}
	w := &c.batch
	w.mu.Lock()
	c.receive.stop.Or(stopAbort)
	c.closing.Abort(how)
	w.corked = false
	w.stop()
	w.broadcast()
	w.mu.Unlock()
	w.t.Close()
}
