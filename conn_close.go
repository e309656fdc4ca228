package websock

import (
	"errors"
	"fmt"
	"os"
	"time"
	"weak"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/mask"
	"github.com/seed004e8d11/websock/transport"
)

// Close closes the connection with CloseNormal. See CloseWith.
func (c *Conn) Close() error { return c.CloseWith(CloseNormal, "") }

// CloseWith performs the closing handshake (RFC 6455 section 7.1.2) and closes the transport: it
// sends a close frame with code and reason, unless one was sent already, and waits for the peer to
// end the connection. Both together take at most Limits.CloseTimeout, whatever deadlines are set.
// What the peer sends meanwhile is discarded. With a Handler, CloseWith waits neither for the peer
// nor for other senders: OnData still gets data, and OnClose is called within Limits.CloseTimeout.
//
// CloseWith may be called from any goroutine, any number of times; only the first call has an
// effect. A receive that is waiting, and all later ones, return a *CloseError with Local set, even
// if more data has arrived. If the connection was lost before, they continue to return that error,
// as does Err.
//
// A nil error means that the close frame was written and the peer has ended the connection, or that
// there was nothing to wait for: there is a Handler, the connection had ended, another call of
// Close is in progress (and may still wait), or Abort was called meanwhile. It does not mean that
// the peer received everything; OnClose reports that, see CloseError.
//
// CloseWith returns ErrCloseCode, ErrInvalidUTF8 for the reason, or ErrControlTooLong for a reason
// longer than 123 bytes, without doing anything. For any other error the transport is closed, and
// the error is why the closing handshake is incomplete: ErrTimeout, or the *CloseError of a failed
// write.
func (c *Conn) CloseWith(code CloseCode, reason string) error {
	if err := engine.CheckClose(code, reason); err != nil {
		return err
	}
	w := &c.batch
	w.mu.Lock()
	pushed := c.receive.pushed
	if !pushed {
		c.receive.stop.Or(stopPull)
	}
	_, err := c.sendCloseLocked(code, reason)
	w.mu.Unlock()
	if pushed {
		return err
	}
	return errors.Join(err, c.shutdown())
}

// SendClose sends a close frame with code and reason, and does not wait for the peer: receives
// continue with what the peer sends until its own close frame arrives, and then return a *CloseError
// with Local set. They do for at most Limits.CloseTimeout, whatever deadlines are set. Nothing can be
// sent after SendClose. Without a Handler, Close must be called as ever, and then ends the connection;
// with one, SendClose is CloseWith.
//
// SendClose may be called from any goroutine. If the connection was closed before, or has ended, it
// returns the error of a send. Its other errors are those of CloseWith.
func (c *Conn) SendClose(code CloseCode, reason string) error {
	if err := engine.CheckClose(code, reason); err != nil {
		return err
	}
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	sent, err := c.sendCloseLocked(code, reason)
	if !sent {
		return c.closing().SendErr()
	}
	return err
}

// sendCloseLocked sends a close frame, unless one was sent or nothing can be, and reports whether it did.
func (c *Conn) sendCloseLocked(code CloseCode, reason string) (sent bool, err error) {
	closeErr := &CloseError{Code: code, Reason: reason, Local: true, Err: ErrClosed}
	switch sends := c.batch.ensureRare().closing.SendClose(closeErr); {
	case !sends:
		return false, nil
	case c.receive.pushed: // the caller may be the Handler, which must not wait for the peer
		c.encodeCloseLocked(code, reason)
		c.batch.flushHeldBack(c)
		return true, c.closing().WriteErr()
	}
	c.encodeCloseLocked(code, reason)
	return true, c.commitLocked()
}

// Abort ends the connection immediately, without a closing handshake: what was sent but not yet
// written is lost, and the peer sees the stream end (RFC 6455 section 7.1.7, "Fail the WebSocket
// Connection"). Receives and sends return, and OnClose gets, a *CloseError with CloseAbnormal,
// Local set and cause in its chain. A nil cause means ErrClosed. After Close or the end of the
// connection, Abort only makes a waiting Close return.
//
// Abort may be called from any goroutine and from a Handler. It never waits, neither for a running
// Handler nor for the peer. Afterwards only OnClose is called; if Abort is called from another
// goroutine, a call of OnData that is running is the last one.
func (c *Conn) Abort(cause error) {
	if cause == nil {
		cause = ErrClosed
	}
	closeErr := &CloseError{Code: CloseAbnormal, Local: true, Err: cause}
	w := &c.batch
	w.mu.Lock()
	c.receive.stop.Or(stopAbort)
	c.batch.ensureRare().closing.Abort(closeErr)
	w.corked = false
	w.stop()
	w.mu.Unlock()
	w.t.Close()
}

// encodeCloseLocked appends a close frame, the last frame, to the pending batch, and starts the
// close timeout.
func (c *Conn) encodeCloseLocked(code CloseCode, reason string) {
	c.batch.corked = false
	c.batch.dropPing()
	c.startCloseTimeoutLocked()
	var payload [engine.MaxControlPayload]byte
	c.encodeLocked(OpClose, true, engine.AppendClose(payload[:0], code, reason))
}

// shutdown closes the transport as RFC 6455 section 7.1.1 demands: the server closes first,
// immediately if it has the peer's close frame; the client when the server has closed. Over HTTP/2 and HTTP/3 the
// client ends its stream without waiting: a stream leaves no port in TIME_WAIT, and a proxy may end it
// only after its client. What can't end one direction can't do that, either.
func (c *Conn) shutdown() error {
	c.batch.mu.Lock()
	return c.shutdownLocked()
}

// shutdownLocked is shutdown. It unlocks.
func (c *Conn) shutdownLocked() error {
	w := &c.batch
	again := c.receive.shuttingDown
	c.receive.shuttingDown = true
	if !again {
		w.awaitIdle(c) // another sender may still have to write the close frame
	}
	failed := w.state == writerStopped
	atOnce := failed || !c.closing().MayReceive() && c.Role() == Server && w.t.Queued() == 0
	awaiter, ok := w.t.(transport.AnswerAwaiter)
	isAwaiter := ok && awaiter.AwaitsAnswer()
	awaitsAnswer := isAwaiter && c.Role() == Server && c.closing().MayReceive()
	timeout := time.Until(w.rareOrZero().deadlines.final)
	w.mu.Unlock()
	if (isAwaiter || c.Role() == Server) && !awaitsAnswer && !again && !failed {
		c.batch.t.CloseWrite() // if this fails, the wait below ends with a timeout
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
	var err error
	if awaitsAnswer {
		err = awaiter.LingerForAnswer(timeout, endsWithClose)
	} else {
		err = c.batch.t.Linger(timeout)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errNotCompleted
	}
	return err
}

// endsWithClose reports whether p ends with the close frame of a client, by the look of it: what comes
// before isn't parsed. Nothing follows that frame, and if it is taken for something else, Close waits for
// the end of the stream.
func endsWithClose(p []byte) bool {
	const header = 2 + 4 // with the masking key
	for n := 0; n <= engine.MaxControlPayload && header+n <= len(p); n++ {
		if frame := p[len(p)-header-n:]; frame[0] == 0x80|byte(OpClose) && frame[1] == 0x80|byte(n) {
			var payload [engine.MaxControlPayload]byte
			mask.Copy(payload[:n], frame[header:], [4]byte(frame[2:header]), 0)
			if _, _, err := engine.ParseClose(payload[:n]); err == nil {
				return true
			}
		}
	}
	return false
}

// errNotCompleted is returned by Close if the peer doesn't complete the closing handshake in time.
var errNotCompleted = fmt.Errorf("websock: closing handshake not completed by the peer: %w", ErrTimeout)

// peerClosed answers the peer's close frame (RFC 6455 section 5.5.1) and returns the error of later
// receives.
func (c *Conn) peerClosed(payload []byte) error {
	code, reason, _ := engine.ParseClose(payload) // the Decoder has checked it
	closeErr := &CloseError{Code: code, Reason: string(reason)}
	c.discardView()
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.publishCountsLocked()
	answer, err := c.batch.ensureRare().closing.ReceiveClose(closeErr)
	if answer {
		c.encodeCloseLocked(code, "")
		c.batch.flushPending(c)
	}
	return c.receive.dec.Fail(err)
}

// failProtocol sends a close frame for err, which is an error of the peer or of the Handler (RFC
// 6455 section 7.1.7), and returns the error of later receives.
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
	c.discardView()
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	c.publishCountsLocked()
	if c.batch.ensureRare().closing.SendClose(&CloseError{Code: code, Reason: reason, Local: true, Err: err}) {
		c.encodeCloseLocked(code, reason)
		c.batch.flushPending(c)
	}
	return c.receive.dec.Fail(err)
}

// streamEnded records that nothing more will arrive, because of err, and returns the error of later
// receives.
func (c *Conn) streamEnded(err error) error {
	c.discardView()
	w := &c.batch
	w.mu.Lock()
	c.publishCountsLocked()
	w.handler.Store(0)
	w.flushPending(c)                                          // what was sent while the last bytes were handled
	closesElsewhere := c.closing().Begun() || c.receive.pushed // Close does, or the transport of a Handler
	closeErr := c.batch.ensureRare().closing.StreamEnded(err, isClosed(err) && !c.receive.pushed, err == ErrTimeout)
	w.stop()
	w.mu.Unlock()
	if !closesElsewhere {
		w.t.Close()
	}
	return closeErr
}

// A closeWatchdog closes a connection whose Handler doesn't return. On an event loop the Handler
// blocks the goroutine that would notice that the close timeout has passed. The closeWatchdog
// doesn't keep the connection in memory.
type closeWatchdog struct {
	conn weak.Pointer[Conn]
	late bool // Run was called before
}

// startCloseWatchdog starts a closeWatchdog. It has a timer and a goroutine of its own, as
// CloseWrite blocks while the peer doesn't read.
func (c *Conn) startCloseWatchdog() {
	timing.After(c.closeTimeout(), &closeWatchdog{conn: weak.Make(c)})
}

// Run is called when the close timeout has passed, and once more after the same time. The first
// time it closes our direction of the stream if everything was written, so the peer can end the
// connection; what the peer has sent can be received when the Handler returns. The second time it
// closes the connection.
func (b *closeWatchdog) Run() time.Duration {
	c := b.conn.Value()
	if c == nil {
		return 0
	}
	w := &c.batch
	w.mu.Lock()
	switch {
	case c.receive.shuttingDown: // shutdown has a timeout of its own
		w.mu.Unlock()
		return 0
	case !b.late:
		b.late = true
		c.closeWriteLocked()
		w.mu.Unlock()
		return c.closeTimeout()
	}
	c.batch.ensureRare().closing.SendFailed(&CloseError{Code: CloseAbnormal, Err: ErrTimeout})
	w.stop()
	w.mu.Unlock()
	w.t.Close()
	return 0
}

// closeWriteLocked closes our direction of the stream, unless something remains to be written. It
// releases the lock meanwhile.
func (c *Conn) closeWriteLocked() {
	w := &c.batch
	if w.state != writerIdle || w.pending != nil || w.t.Queued() > 0 {
		return
	}
	w.state = writerBusy
	w.mu.Unlock()
	w.t.CloseWrite() // if this fails, Close follows
	w.mu.Lock()
	w.endWrite()
	w.broadcast()
}
