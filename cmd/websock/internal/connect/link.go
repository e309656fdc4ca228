package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A link is an open connection of a session.
type link struct {
	*session
	conn    *websock.Conn
	opened  time.Time
	pings   pings
	showing atomic.Bool // a message is being shown, so nothing is received

	closing  sync.Once
	sent     CloseStatus // in our close frame, once closing is done
	closeErr error       // of the closing handshake, likewise
}

// An ending is how a link, or an attempt to open one, has ended.
type ending struct {
	outcome Outcome
	err     error // why; nil: the session has closed the link, and is over
}

// run exchanges messages until the connection ends. When ctx ends it is closed, when aborted ends it
// is not even closed in an orderly way. An error is one of standard output.
func (l *link) run(ctx, aborted context.Context) (ending, error) {
	l.display.opened(l.conn, l.protocol()) // not before, so that what is typed then is sent
	var running sync.WaitGroup
	ended := make(chan struct{})
	running.Go(func() { l.send(ended) })
	if l.Ping > 0 {
		running.Go(func() { l.keepAlive(ended) })
	}
	defer context.AfterFunc(aborted, func() { l.conn.Abort(nil) })()
	if l.inputEnded.Load() {
		l.startQuietTimer()
	}
	end, err := l.receiveUntil(ctx)
	l.close(l.Close)
	close(ended)
	running.Wait()
	return end, err
}

// receiveUntil receives until the connection has ended. When ctx ends, it closes the connection; then it does
// not wait for whoever reads our output, which may never go on.
func (l *link) receiveUntil(ctx context.Context) (ending, error) {
	var end ending
	var err error
	received := make(chan struct{})
	go func() {
		defer close(received)
		end, err = l.receive()
	}()
	select {
	case <-received:
		return end, err
	case <-ctx.Done():
	}
	l.close(l.Close)
	const limit = time.Second // for what is shown last
	blocked := time.NewTimer(limit)
	defer blocked.Stop()
	select {
	case <-received:
		return end, err
	case <-blocked.C:
		return ending{}, nil
	}
}

// close closes the connection, unless it has ended, and waits until that is done, whoever does it.
// Only the first call says with what.
func (l *link) close(with CloseStatus) error {
	l.closing.Do(func() {
		l.sent = with
		l.Record.End(&websock.CloseError{Code: with.Code, Reason: with.Reason, Local: true})
		l.closeErr = l.conn.CloseWith(with.Code, with.Reason)
	})
	return l.closeErr
}

// send sends what is read from the input until the connection has ended.
func (l *link) send(ended <-chan struct{}) {
	if in := l.unsent; in != nil {
		l.unsent = nil
		l.handle(*in)
	}
	for l.unsent == nil {
		select {
		case in := <-l.inputs:
			l.handle(in)
		case <-ended:
			return
		}
	}
}

// handle sends an input, or does what its command says. If a line of a pipe can't be sent because
// the connection has ended, it is kept for the next one.
func (l *link) handle(in input) {
	if in.err != nil {
		l.handleEnd(in.err)
		return
	}
	err := l.handleLine(in.line)
	switch {
	case err == nil:
	case l.typed, !endsSending(err):
		l.refuse(err)
	default:
		l.unsent = &in
	}
}

// handleEnd closes the connection at the end of what was typed, and after a quiet time at the end of
// a pipe.
func (l *link) handleEnd(err error) {
	if !errors.Is(err, io.EOF) {
		l.notSent.Store(true)
		l.refuse(err)
	}
	if l.typed {
		l.over.Store(true)
		l.close(l.Close)
		return
	}
	l.inputEnded.Store(true)
	l.startQuietTimer()
}

func (l *link) handleLine(line []byte) error {
	if l.takesCommands() {
		if name, arg, ok := cutCommand(line); ok {
			return l.command(name, arg)
		}
		line = unescapeLine(line)
	}
	op := websock.OpText
	if l.Binary {
		op = websock.OpBinary
	}
	return l.sendFrame(op, line)
}

// sendFrame sends a message, a ping or a pong. All but the pings of keepAlive goes through
// it. It is recorded first, so that a recording never has a reply before its request.
func (l *link) sendFrame(op websock.Opcode, payload []byte) error {
	if err := l.Record.Message(websock.Client, op, payload); err != nil {
		return err
	}
	return l.conn.SendFrame(op, true, payload)
}

// endsSending reports whether an error of a send means that nothing more can be sent.
func endsSending(err error) bool { return errors.As(err, new(*websock.CloseError)) }

// refuse says why an input is not sent.
func (s *session) refuse(err error) {
	text := console.ErrorText(err)
	switch {
	case errors.Is(err, websock.ErrInvalidUTF8):
		text = "this is not UTF-8, which text must be (see -binary)"
	case endsSending(err):
		text = "the connection has ended"
	}
	if !s.typed {
		s.notSent.Store(true) // first, so that an answer to what the user sees finds it
	}
	fmt.Fprintf(s.Err, "not sent: %s\n", console.Printable([]byte(text)))
}

// startQuietTimer makes receive time out when nothing comes.
func (l *link) startQuietTimer() {
	if l.Wait >= 0 {
		l.conn.SetRecvDeadline(time.Now().Add(l.Wait))
	}
}

// receive shows messages until the connection ends, the quiet time after the input is over, or
// there were enough.
func (l *link) receive() (ending, error) {
	var msg []byte
	for {
		had := len(msg)
		op, received, err := l.conn.RecvMessage(msg)
		msg = received
		switch {
		case errors.Is(err, websock.ErrTimeout) && len(msg) == had:
			return l.closedByUs(), nil
		case errors.Is(err, websock.ErrTimeout): // in the middle of a message
		case isLocalClose(err):
			return l.closedByUs(), nil
		case err != nil:
			return l.closed(err), nil
		default:
			if err := l.received(op, msg); err != nil {
				return ending{}, err
			}
			if l.count++; l.count == l.Count {
				return l.closedByUs(), nil
			}
			msg = msg[:0]
		}
		if l.inputEnded.Load() {
			l.startQuietTimer()
		}
	}
}

// received shows a message. Every message that is received goes through it.
func (l *link) received(op websock.Opcode, msg []byte) error {
	if err := l.Record.Message(websock.Server, op, msg); err != nil {
		return err
	}
	l.showing.Store(true)
	defer l.showing.Store(false)
	return l.display.message(op, msg)
}

// isLocalClose reports whether a connection has ended with a close frame of ours.
func isLocalClose(err error) bool {
	var closed *websock.CloseError
	return errors.As(err, &closed) && closed.Local && closed.Code != websock.CloseAbnormal
}

// closedByUs completes the closing handshake and shows how the connection ended.
func (l *link) closedByUs() ending {
	if err := l.close(l.Close); err != nil {
		return ending{outcome: l.closed(err).outcome}
	}
	l.display.closed(&websock.CloseError{Code: l.sent.Code, Reason: l.sent.Reason, Local: true})
	if l.notSent.Load() {
		return ending{outcome: LinesNotSent}
	}
	return ending{outcome: ClosedNormally}
}

// closed shows how the connection ended, other than by a close frame of ours.
func (l *link) closed(err error) ending {
	l.Record.End(err)
	l.display.closed(err)
	if l.notSent.Load() {
		return ending{LinesNotSent, err}
	}
	return ending{EndOutcome(err), err}
}

// EndOutcome returns what the end of a connection means.
func EndOutcome(err error) Outcome {
	var closed *websock.CloseError
	switch {
	case !errors.As(err, &closed) || closed.Code == websock.CloseAbnormal:
		return Lost
	case closed.Code == websock.CloseNormal, closed.Code == websock.CloseGoingAway, closed.Code == websock.CloseNoStatus:
		return ClosedNormally
	}
	return ClosedWithError
}
