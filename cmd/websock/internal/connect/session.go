// Package connect is the interactive client: it sends lines as messages and prints messages
// as lines, for a person at a terminal, a pipe or a program that reads JSON.
package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/transport/std"
)

// Options are the settings of a session.
type Options struct {
	URL     string
	Config  websock.Config
	Binary  bool          // send binary messages, not text
	Wait    time.Duration // quiet time after the end of input before the connection is closed
	JSON    bool          // print JSON objects
	Verbose bool          // show the handshake and every frame on standard error
	History string        // file for the lines typed on a terminal, or ""
}

// An Outcome is how a session ended.
type Outcome int

// The outcomes. In all of them the user has been told.
const (
	ClosedNormally    Outcome = iota
	Unreachable               // no connection to a server, or no answer in time
	Refused                   // the server declined the opening handshake
	Lost                      // no close frame, or a breach of the protocol
	ClosedWithError           // by the server, with a code for an error
	LinesNotSent              // some input could not be sent
	InterruptedByUser         // by a signal or a key
)

// Run connects and exchanges messages until the connection or the input ends. The end of ctx
// is an interrupt. An error is one of this machine: a file or stream that can't be used.
func Run(ctx context.Context, streams console.Streams, o Options) (Outcome, error) {
	s := &session{Options: o, Streams: streams}
	restore, err := s.chooseInterface()
	if err != nil {
		return 0, err
	}
	defer restore()
	return s.run(ctx)
}

// A session is one connection.
type session struct {
	Options
	console.Streams
	lines   lineReader
	display display
	conn    *websock.Conn

	inputEnded  atomic.Bool
	notSent     atomic.Bool // a line could not be sent
	interrupted atomic.Bool // by a key
}

// chooseInterface decides where lines come from and how messages are shown. restore gives the
// terminal back.
func (s *session) chooseInterface() (restore func(), err error) {
	if s.JSON {
		s.lines, s.display = newPipe(s.In), newJSONDisplay(s.Out)
		return func() {}, nil
	}
	if !console.IsTerminal(s.In) || !console.IsTerminal(s.Out) {
		s.lines = newPipe(s.In)
		s.display = &textDisplay{Streams: s.Streams, escape: console.IsTerminal(s.Out), announce: console.IsTerminal(s.Err), wantsHTTP2: s.Config.Mux != nil}
		return func() {}, nil
	}
	terminal, err := openTerminal(s.Streams, s.History)
	if err != nil {
		return nil, err
	}
	s.lines, s.Out, s.Err = terminal, terminal, terminal
	s.display = &textDisplay{Streams: s.Streams, prefix: "< ", escape: true, announce: true, wantsHTTP2: s.Config.Mux != nil}
	return terminal.restore, nil
}

func (s *session) run(ctx context.Context) (outcome Outcome, err error) {
	config := s.Config
	config.Trace = new(websock.Trace)
	if s.Verbose {
		config.Trace = verboseTrace(s.Err)
		config.Transport = frameLogger{std.Transport(), s.Err}
	}
	if config.Mux != nil {
		defer closeMux(config.Mux)
	}
	reached := recordHandshakeStart(config.Trace)
	s.conn, err = websock.Dial(ctx, s.URL, &config)
	if err != nil {
		s.display.refused(err)
		return failedDial(ctx, err, *reached), nil
	}
	defer s.conn.Close()
	s.display.opened(s.conn, s.protocol())
	defer context.AfterFunc(ctx, func() { s.conn.Close() })()
	go s.sendLines()
	outcome, err = s.receive()
	if ctx.Err() != nil || s.interrupted.Load() {
		return InterruptedByUser, nil
	}
	return outcome, err
}

// closeMux closes the connection of a Mux after its WebSocket.
func closeMux(mux *websock.Mux) {
	const limit = time.Second // for what has been sent last
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	mux.Shutdown(ctx)
	mux.Close()
}

// The protocols below a WebSocket.
const (
	protocolHTTP1 = "HTTP/1.1"
	protocolHTTP2 = "HTTP/2"
)

// protocol returns the protocol below the WebSocket.
func (s *session) protocol() string {
	if s.Config.Mux == nil || slices.ContainsFunc(s.Config.Mux.Stats().Hosts, func(h websock.MuxHostStats) bool { return h.HTTP1 }) {
		return protocolHTTP1
	}
	return protocolHTTP2
}

// recordHandshakeStart makes the trace also record whether an opening handshake was started,
// which means that a server was reached.
func recordHandshakeStart(trace *websock.Trace) *bool {
	reached, next := new(bool), trace.HandshakeStart
	trace.HandshakeStart = func(host string) {
		*reached = true
		if next != nil {
			next(host)
		}
	}
	return reached
}

// failedDial distinguishes a server that declined from one that was not reached or did not
// answer.
func failedDial(ctx context.Context, err error, reached bool) Outcome {
	switch {
	case ctx.Err() != nil:
		return InterruptedByUser
	case (reached || hasSessionError(err)) && !isUnanswered(err):
		return Refused
	}
	return Unreachable
}

// hasSessionError reports whether a server was reached, but an HTTP/2 connection with it has ended before
// the opening handshake.
func hasSessionError(err error) bool {
	var ended *websock.SessionError
	return errors.As(err, &ended)
}

// isUnanswered reports whether a dial timed out before an answer, of a server or a proxy, said
// no.
func isUnanswered(err error) bool {
	var refusal *websock.HandshakeError
	if errors.As(err, &refusal) {
		answered := refusal.Status != 0 && refusal.Status != http.StatusSwitchingProtocols
		if answered || refusal.Proxy != "" {
			return false
		}
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// sendLines sends every line as a message, until the input ends.
func (s *session) sendLines() {
	for {
		line, err := s.lines.readLine()
		if err != nil {
			s.noteInputEnd(err)
			break
		}
		s.sendLine(line)
	}
	if _, typed := s.lines.(*terminal); typed {
		s.conn.Close()
		return
	}
	s.inputEnded.Store(true)
	s.startQuietTimer()
}

func (s *session) noteInputEnd(err error) {
	switch {
	case errors.Is(err, errInterrupted):
		s.interrupted.Store(true)
	case !errors.Is(err, io.EOF):
		fmt.Fprintln(s.Err, "not sent:", err)
		s.notSent.Store(true)
	}
}

func (s *session) sendLine(line []byte) {
	send := s.conn.SendText
	if s.Binary {
		send = s.conn.SendBinary
	}
	err := send(line)
	if errors.Is(err, websock.ErrInvalidUTF8) {
		fmt.Fprintln(s.Err, "not sent: the line is not UTF-8, which text must be (see -binary)")
		s.notSent.Store(true)
	}
}

// startQuietTimer makes receive time out when nothing comes.
func (s *session) startQuietTimer() {
	s.conn.SetRecvDeadline(time.Now().Add(s.Wait))
}

// receive shows messages until the connection ends, or the quiet time after the input is over.
func (s *session) receive() (Outcome, error) {
	var msg []byte
	for {
		had := len(msg)
		op, received, err := s.conn.RecvMessage(msg)
		msg = received
		switch {
		case errors.Is(err, websock.ErrTimeout) && len(msg) == had:
			return s.closed(s.conn.Close()), nil
		case errors.Is(err, websock.ErrTimeout): // in the middle of a message
		case err != nil:
			return s.closed(err), nil
		default:
			if err := s.display.message(op, msg); err != nil {
				return 0, err
			}
			msg = msg[:0]
		}
		if s.inputEnded.Load() {
			s.startQuietTimer()
		}
	}
}

// closed shows how the connection ended; a nil error means that we closed it.
func (s *session) closed(err error) Outcome {
	s.display.closed(err)
	var closed *websock.CloseError
	switch {
	case s.notSent.Load():
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
