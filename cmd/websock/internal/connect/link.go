package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// A link is an open connection of a session.
type link struct {
	*session
	conn *websock.Conn

	closing  sync.Once
	closeErr error // of the closing handshake, once closing is done
}

// run exchanges messages until the connection ends.
func (l *link) run(ctx context.Context) (Outcome, error) {
	var running sync.WaitGroup
	ended := make(chan struct{})
	running.Go(func() { l.send(ended) })
	defer context.AfterFunc(ctx, func() { l.close() })()
	outcome, err := l.receive()
	l.close()
	close(ended)
	running.Wait()
	return outcome, err
}

// close closes the connection, unless it has ended, and waits until that is done, whoever does it.
func (l *link) close() error {
	l.closing.Do(func() { l.closeErr = l.conn.Close() })
	return l.closeErr
}

// send sends what is read from the input, until the connection has ended.
func (l *link) send(ended <-chan struct{}) {
	for {
		select {
		case in := <-l.inputs:
			l.handle(in)
		case <-ended:
			return
		}
	}
}

func (l *link) handle(in input) {
	switch {
	case in.err == nil:
		l.sendLine(in.line)
		return
	case !errors.Is(in.err, io.EOF):
		fmt.Fprintln(l.Err, "not sent:", in.err)
		l.notSent.Store(true)
	}
	if l.typed {
		l.close()
		return
	}
	l.inputEnded.Store(true)
	l.startQuietTimer()
}

func (l *link) sendLine(line []byte) {
	op := websock.OpText
	if l.Binary {
		op = websock.OpBinary
	}
	err := l.sendMessage(op, line)
	if errors.Is(err, websock.ErrInvalidUTF8) {
		fmt.Fprintln(l.Err, "not sent: the line is not UTF-8, which text must be (see -binary)")
		l.notSent.Store(true)
	}
}

// sendMessage sends a message. Everything that the session sends as a message goes through it.
func (l *link) sendMessage(op websock.Opcode, msg []byte) error {
	return l.conn.SendFrame(op, true, msg)
}

// startQuietTimer makes receive time out when nothing comes.
func (l *link) startQuietTimer() {
	l.conn.SetRecvDeadline(time.Now().Add(l.Wait))
}

// receive shows messages until the connection ends, or the quiet time after the input is over.
func (l *link) receive() (Outcome, error) {
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
				return 0, err
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
	return l.display.message(op, msg)
}

// isLocalClose reports whether a connection has ended with a close frame of ours.
func isLocalClose(err error) bool {
	var closed *websock.CloseError
	return errors.As(err, &closed) && closed.Local && closed.Code != websock.CloseAbnormal
}

// closedByUs completes the closing handshake and shows how the connection ended.
func (l *link) closedByUs() Outcome { return l.closed(l.close()) }

// closed shows how the connection ended; a nil error means that we closed it.
func (l *link) closed(err error) Outcome {
	l.display.closed(err)
	var closed *websock.CloseError
	switch {
	case l.notSent.Load():
		return LinesNotSent
	case err == nil:
		return ClosedNormally
	case !errors.As(err, &closed) || closed.Code == websock.CloseAbnormal:
		return Lost
	case closed.Code == websock.CloseNormal, closed.Code == websock.CloseGoingAway, closed.Code == websock.CloseNoStatus:
		return ClosedNormally
	}
	return ClosedWithError
}
