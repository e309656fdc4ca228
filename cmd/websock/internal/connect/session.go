// Package connect is the interactive client: it sends lines as messages and prints messages
// as lines, for a person at a terminal, a pipe or a program that reads JSON.
package connect

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/record"
)

// Options are the settings of a session.
type Options struct {
	URL     string
	Config  websock.Config
	Binary  bool          // send binary messages, not text
	One     bool          // send all of standard input as one message
	Wait    time.Duration // quiet time after the end of input before the connection is closed; negative: no limit
	Count   int           // close after this number of messages; 0: don't
	Ping    time.Duration // between pings; 0: none
	Close   CloseStatus   // what the session closes with
	JSON    bool          // print JSON objects
	Verbose bool          // show the handshake and every frame on standard error
	History string        // file for the lines typed on a terminal, or ""

	Format Format // of the messages that are shown

	Record    *record.Writer // gets all that is sent and received; nil: nothing is recorded
	RecordURL string         // the URL that is recorded

	Reconnect bool // dial again after a loss
	Commands  CommandMode
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
	TooFewMessages            // fewer than Options.Count
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

// A session is what one run of the command does: it connects, and exchanges messages.
type session struct {
	Options
	console.Streams
	lines   lineReader
	typed   bool // lines come from a terminal
	display display
	inputs  chan input
	unsent  *input // of a pipe, for the next link; belongs to link.send
	count   int    // messages that were received

	interrupt func() // ends the session
	abort     func() // ends it at once, without a closing handshake

	inputEnded atomic.Bool // of a pipe
	notSent    atomic.Bool // some input could not be sent
	over       atomic.Bool // the user has ended the session
}

// chooseInterface decides where lines come from and how messages are shown. restore gives the
// terminal back.
func (s *session) chooseInterface() (restore func(), err error) {
	s.lines = newPipe(s.In)
	if s.One {
		s.lines = &whole{in: s.In}
	}
	if s.JSON {
		s.display = newJSONDisplay(s.Out, s.Format.Time)
		return func() {}, nil
	}
	if s.One || !console.IsTerminal(s.In) || !console.IsTerminal(s.Out) {
		s.display = &textDisplay{Streams: s.Streams, escape: console.IsTerminal(s.Out), announce: s.Reconnect || console.IsTerminal(s.Err), wantsHTTP2: s.Config.Mux != nil, format: s.Format}
		return func() {}, nil
	}
	terminal, err := openTerminal(s.Streams, s.History)
	if err != nil {
		return nil, err
	}
	s.lines, s.typed, s.Out, s.Err = terminal, true, terminal, terminal
	s.display = &textDisplay{Streams: s.Streams, prefix: "< ", escape: true, announce: true, wantsHTTP2: s.Config.Mux != nil, format: s.Format}
	return terminal.restore, nil
}

func (s *session) run(ctx context.Context) (Outcome, error) {
	ctx, s.interrupt = context.WithCancel(ctx)
	defer s.interrupt()
	aborted, abort := context.WithCancel(context.Background())
	defer abort()
	s.abort = abort
	if s.Config.Mux != nil {
		defer CloseMux(s.Config.Mux)
	}
	s.inputs = s.newInputs()
	go s.readInputs(ctx)
	var row failureRow
	for l, end := s.dial(ctx); ; {
		if l != nil {
			var err error
			if end, err = l.run(ctx, aborted); err != nil && ctx.Err() == nil {
				return 0, err
			}
		}
		switch {
		case ctx.Err() != nil:
			return InterruptedByUser, nil
		case !s.dialsAgain(end):
			return s.result(end), nil
		}
		delay := row.delay(l, end)
		s.display.reconnecting(delay)
		last, goOn := end, false
		if l, end, goOn = s.redial(ctx, delay); !goOn && ctx.Err() == nil {
			return s.result(last), nil
		}
	}
}

// result returns the outcome of the session, which the last ending is.
func (s *session) result(last ending) Outcome {
	if s.count >= s.Count {
		return last.outcome
	}
	fmt.Fprintf(s.Err, "%s of %s messages came\n", console.Grouped(s.count), console.Grouped(s.Count))
	if last.outcome == ClosedNormally {
		return TooFewMessages
	}
	return last.outcome
}
