package engine

import (
	"errors"
	"io"
	"testing"
)

var (
	errBroken  = errors.New("broken on purpose")
	ourClose   = &CloseError{Code: CloseNormal, Local: true, Err: ErrClosed}
	peersClose = &CloseError{Code: CloseGoingAway, Reason: "bye"}
	writeError = &CloseError{Code: CloseAbnormal, Err: errBroken}
	ourAbort   = &CloseError{Code: CloseAbnormal, Local: true, Err: io.ErrClosedPipe}
)

// apply applies an event to a Closing and returns the results.
func apply(c *Closing, e closingEvent) (frame bool, received *CloseError) {
	switch e {
	case sendCloseEvent:
		return c.SendClose(ourClose), nil
	case receiveCloseEvent:
		return c.ReceiveClose(peersClose)
	case abortEvent:
		c.Abort(ourAbort)
	case streamEndEvent:
		return false, c.StreamEnded(io.ErrUnexpectedEOF, false, false)
	}
	return false, nil
}

// ways lead to each state, with all writes done.
var ways = map[ClosingState][]closingEvent{
	StateOpen:          nil,
	StateCloseSent:     {sendCloseEvent},
	StateCloseReceived: {receiveCloseEvent},
	StateAborted:       {abortEvent},
	StateClosed:        {sendCloseEvent, receiveCloseEvent},
}

func TestEveryEventInEveryStateOfTheClosingHandshake(t *testing.T) {
	for _, test := range []struct {
		from     ClosingState
		event    closingEvent
		to       ClosingState
		frame    bool  // a close frame is to be sent
		received error // what receives return; nil: they go on
		send     error // what sends return
		write    error // what frames that wait to be written end with
	}{
		{StateOpen, sendCloseEvent, StateCloseSent, true, nil, ourClose, nil},
		{StateOpen, receiveCloseEvent, StateCloseReceived, true, peersClose, peersClose, nil},
		{StateOpen, abortEvent, StateAborted, false, nil, ourAbort, ourAbort},
		{StateOpen, streamEndEvent, StateClosed, false, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF, io.ErrUnexpectedEOF},
		{StateCloseSent, sendCloseEvent, StateCloseSent, false, nil, ourClose, nil},
		{StateCloseSent, receiveCloseEvent, StateClosed, false, ourClose, ourClose, nil},
		{StateCloseSent, abortEvent, StateCloseSent, false, nil, ourClose, ourAbort},
		{StateCloseSent, streamEndEvent, StateClosed, false, io.ErrUnexpectedEOF, ourClose, io.ErrUnexpectedEOF},
		{StateCloseReceived, sendCloseEvent, StateCloseReceived, false, nil, peersClose, nil},
		{StateCloseReceived, receiveCloseEvent, StateCloseReceived, false, peersClose, peersClose, nil},
		{StateCloseReceived, abortEvent, StateCloseReceived, false, nil, peersClose, ourAbort},
		{StateCloseReceived, streamEndEvent, StateClosed, false, peersClose, peersClose, peersClose},
		{StateAborted, sendCloseEvent, StateAborted, false, nil, ourAbort, ourAbort},
		{StateAborted, receiveCloseEvent, StateClosed, false, peersClose, ourAbort, ourAbort},
		{StateAborted, abortEvent, StateAborted, false, nil, ourAbort, ourAbort},
		{StateAborted, streamEndEvent, StateClosed, false, ourAbort, ourAbort, ourAbort},
		{StateClosed, sendCloseEvent, StateClosed, false, nil, ourClose, nil},
		{StateClosed, receiveCloseEvent, StateClosed, false, ourClose, ourClose, nil},
		{StateClosed, abortEvent, StateClosed, false, nil, ourClose, ourAbort},
		{StateClosed, streamEndEvent, StateClosed, false, ourClose, ourClose, ourClose},
	} {
		var c Closing
		for _, e := range ways[test.from] {
			apply(&c, e)
		}
		if c.State() != test.from {
			t.Fatalf("the way to %v leads to %v", test.from, c.State())
		}
		frame, received := apply(&c, test.event)
		name := test.from.String() + ", " + [...]string{"we close", "the peer closes", "we abort", "the stream ends"}[test.event]
		if c.State() != test.to || frame != test.frame {
			t.Errorf("%s: %v, frame to send %v; want %v, %v", name, c.State(), frame, test.to, test.frame)
		}
		if (received == nil) != (test.received == nil) || received != nil && !errors.Is(received, test.received) {
			t.Errorf("%s: received %v, want %v", name, received, test.received)
		}
		for what, errs := range map[string][2]error{"sends": {c.SendErr(), test.send}, "writes": {c.WriteErr(), test.write}} {
			if got, want := errs[0], errs[1]; (got == nil) != (want == nil) || got != nil && !errors.Is(got, want) {
				t.Errorf("%s: %s return %v, want %v", name, what, got, want)
			}
		}
		if c.MaySend() || c.MayReceive() != (test.to == StateOpen || test.to == StateCloseSent) {
			t.Errorf("%s: may send %v, may receive %v", name, c.MaySend(), c.MayReceive())
		}
	}
	if n := len(ways) * closingEvents; n != 20 {
		t.Errorf("%d pairs of state and event, and 20 in the test", n)
	}
}

func TestAfterAFailedWriteOnlySendingHasEnded(t *testing.T) {
	for _, test := range []struct {
		name           string
		events         []closingEvent
		received, send error
		frame          bool
	}{
		{"and nothing else", nil, nil, writeError, false},
		{"our close", []closingEvent{sendCloseEvent}, nil, writeError, false},
		{"the peer's close", []closingEvent{receiveCloseEvent}, peersClose, peersClose, false},
		{"an abort", []closingEvent{abortEvent}, nil, writeError, false},
		{"the end of the stream", []closingEvent{streamEndEvent}, errBroken, writeError, false},
		{"an abort, and the end of the stream", []closingEvent{abortEvent, streamEndEvent}, errBroken, writeError, false},
	} {
		var c Closing
		c.SendFailed(writeError)
		c.SendFailed(ourAbort) // the first one counts
		if c.State() != StateOpen || c.MaySend() || !c.MayReceive() {
			t.Fatalf("%v, may send %v, may receive %v", c.State(), c.MaySend(), c.MayReceive())
		}
		var received *CloseError
		var frame bool
		for _, e := range test.events {
			frame, received = apply(&c, e)
		}
		if (received == nil) != (test.received == nil) || received != nil && !errors.Is(received, test.received) {
			t.Errorf("%s: received %v, want %v", test.name, received, test.received)
		}
		if frame || c.SendErr() != test.send || c.WriteErr() != writeError {
			t.Errorf("%s: frame %v, %v, %v", test.name, frame, c.SendErr(), c.WriteErr())
		}
	}
}

func TestTheErrorOfAStreamsEndWrapsEarlierFailures(t *testing.T) {
	for name, test := range map[string]struct {
		fails, byUs, timeout bool
		want, not            error
	}{
		"the stream is lost":                {false, false, false, io.ErrUnexpectedEOF, errBroken},
		"our close frame failed":            {true, false, false, errBroken, io.ErrUnexpectedEOF},
		"our close frame failed, a timeout": {true, false, true, io.ErrUnexpectedEOF, errBroken},
		"we have closed the transport":      {true, true, false, ErrClosed, errBroken},
	} {
		var c Closing
		c.SendClose(ourClose)
		if test.fails {
			c.SendFailed(writeError)
		}
		how := c.StreamEnded(io.ErrUnexpectedEOF, test.byUs, test.timeout)
		if !errors.Is(how, ErrClosed) || !errors.Is(how, test.want) || errors.Is(how, test.not) || how.Code != CloseNormal || !how.Local {
			t.Errorf("%s: %v", name, how)
		}
	}
	var c Closing
	c.SendClose(ourClose)
	c.SendFailed(writeError)
	if _, how := c.ReceiveClose(peersClose); !errors.Is(how, ErrClosed) || !errors.Is(how, errBroken) || !errors.Is(how, peersClose) {
		t.Errorf("the peer's close frame after ours failed: %v", how)
	}
}

func TestAnOpenClosingIsSmall(t *testing.T) {
	if n := testing.AllocsPerRun(10, func() {
		var c Closing
		if !c.MaySend() || c.SendErr() != nil || c.WriteErr() != nil || c.ClosedByUs() {
			t.Error("it isn't open")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestStreamEndIsTheOnlyCauseOfACloseErrorWithoutOne(t *testing.T) {
	var c Closing
	c.SendClose(&CloseError{Code: CloseNormal, Local: true})
	if err := c.StreamEnded(io.EOF, false, false); err.Err != io.EOF || err.Code != CloseNormal || !err.Local {
		t.Errorf("%+v", err)
	}
}
