package engine

import "fmt"

// A ClosingState says how far a connection has come to its end (RFC 6455 section 7).
type ClosingState uint8

const (
	StateOpen          ClosingState = iota // messages pass both ways
	StateCloseSent                         // we closed first, and the peer has not answered
	StateCloseReceived                     // the peer closed first; our answer ends what we send
	StateAborted                           // we gave the stream up without waiting for the peer
	StateClosed                            // the closing handshake is complete, or the stream has ended

	closingStates = int(iota)
)

// String returns the state in lower case.
func (s ClosingState) String() string {
	return [closingStates]string{"open", "close sent", "close received", "aborted", "closed"}[s]
}

// A closingEvent is what moves a Closing from one state to another.
type closingEvent uint8

const (
	sendCloseEvent    closingEvent = iota // we close
	receiveCloseEvent                     // the peer's close frame has arrived
	abortEvent                            // we give the stream up
	streamEndEvent                        // nothing more arrives

	closingEvents = int(iota)
)

// closingTransitions says which state an event leads to. Only an open connection can be closed or
// aborted by us: later calls change nothing.
var closingTransitions = [closingStates][closingEvents]ClosingState{
	StateOpen:          {sendCloseEvent: StateCloseSent, receiveCloseEvent: StateCloseReceived, abortEvent: StateAborted, streamEndEvent: StateClosed},
	StateCloseSent:     {sendCloseEvent: StateCloseSent, receiveCloseEvent: StateClosed, abortEvent: StateCloseSent, streamEndEvent: StateClosed},
	StateCloseReceived: {sendCloseEvent: StateCloseReceived, receiveCloseEvent: StateCloseReceived, abortEvent: StateCloseReceived, streamEndEvent: StateClosed},
	StateAborted:       {sendCloseEvent: StateAborted, receiveCloseEvent: StateClosed, abortEvent: StateAborted, streamEndEvent: StateClosed},
	StateClosed:        {sendCloseEvent: StateClosed, receiveCloseEvent: StateClosed, abortEvent: StateClosed, streamEndEvent: StateClosed},
}

// closingReceives says in which states the peer may send messages. We may in StateOpen only.
var closingReceives = [closingStates]bool{StateOpen: true, StateCloseSent: true}

// A Closing is how a connection ends: its state, and what later sends and receives return. Its zero
// value is an open connection. The caller serializes calls; sends, receives and Close usually come from
// different goroutines.
//
// Beside the state there is the question whether what was sent could be written. A failed write
// ends sending, and only that: what the peer has sent, its close frame included, can still be
// received.
type Closing struct {
	errs  *closingErrors // nil: nothing has happened yet
	state ClosingState
}

// closingErrors are separate from Closing so that an open connection doesn't hold them.
type closingErrors struct {
	ended  *CloseError // by whom the connection was closed or aborted first; nil: by nobody
	failed *CloseError // why nothing can be written; nil: it can
}

// State returns the state.
func (c *Closing) State() ClosingState { return c.state }

// MaySend reports whether messages may be sent: the connection is open, and no write has failed.
func (c *Closing) MaySend() bool { return c.errs == nil }

// MayReceive reports whether the peer may send messages.
func (c *Closing) MayReceive() bool { return closingReceives[c.state] }

// SendErr returns why messages can't be sent, or nil: how the connection was closed, or else why a
// write has failed.
func (c *Closing) SendErr() error {
	switch {
	case c.errs == nil:
		return nil
	case c.errs.ended != nil:
		return c.errs.ended
	}
	return c.errs.failed
}

// WriteErr returns why frames that were accepted can't be written, or nil.
func (c *Closing) WriteErr() error {
	if c.errs == nil || c.errs.failed == nil {
		return nil
	}
	return c.errs.failed
}

// Begun reports whether the connection was closed or aborted. It is false after a failed write and
// after the stream has just ended.
func (c *Closing) Begun() bool { return c.errs != nil && c.errs.ended != nil }

// ClosedByUs reports whether we closed or aborted the connection first.
func (c *Closing) ClosedByUs() bool {
	return c.errs != nil && c.errs.ended != nil && c.errs.ended.Local
}

// SendClose says that we close the connection, how tells later sends why. It reports whether a
// close frame is to be sent now: at most one ever is, and none after a failed write.
func (c *Closing) SendClose(how *CloseError) (send bool) {
	if !c.MaySend() {
		return false
	}
	c.next(sendCloseEvent)
	c.errs.ended = how
	return true
}

// ReceiveClose says that the peer's close frame has arrived, with the code and the reason of how. It
// reports whether a close frame is to be sent in answer, and returns the error of later receives.
func (c *Closing) ReceiveClose(how *CloseError) (answer bool, err *CloseError) {
	c.next(receiveCloseEvent)
	ended, failed := c.errs.ended, c.errs.failed
	switch {
	case ended == nil:
		c.errs.ended = how
		return failed == nil, how
	case ended.Local && failed != nil: // it answers no close frame of ours
		return false, ended.withCause(fmt.Errorf("%w; %w", failed.Err, how))
	}
	return false, ended
}

// SendFailed says that a write has failed, for the reason how. What was sent before remains sent.
func (c *Closing) SendFailed(how *CloseError) {
	if c.errs == nil {
		c.errs = &closingErrors{}
	}
	if c.errs.failed == nil {
		c.errs.failed = how
	}
}

// Abort says that we give the stream up. After the connection was closed it changes only what
// frames that wait to be written end with.
func (c *Closing) Abort(how *CloseError) {
	c.next(abortEvent)
	if c.errs.ended == nil && c.errs.failed == nil {
		c.errs.ended = how
	}
	c.SendFailed(how)
}

// StreamEnded says that nothing more arrives, for the reason cause, and returns the error of later
// receives. See Ended for byUs and timeout.
func (c *Closing) StreamEnded(cause error, byUs, timeout bool) *CloseError {
	how := c.Ended(cause, byUs, timeout)
	c.next(streamEndEvent)
	c.SendFailed(how)
	return how
}

// Ended returns the error of receives if the stream ended now for the reason cause. byUs says that
// this is only because the caller has closed the transport, after it has told how; timeout, that the
// time for the closing handshake is over.
func (c *Closing) Ended(cause error, byUs, timeout bool) *CloseError {
	var ended, failed *CloseError
	if c.errs != nil {
		ended, failed = c.errs.ended, c.errs.failed
	}
	switch {
	case ended == nil && failed != nil: // the stream ended because sending did
		return failed
	case ended == nil:
		return &CloseError{Code: CloseAbnormal, Err: cause}
	case c.state == StateCloseReceived || c.state == StateClosed || failed == ended || byUs:
		return ended
	case failed != nil && !timeout:
		cause = failed.Err
	}
	return ended.withCause(cause)
}

func (c *Closing) next(e closingEvent) {
	c.state = closingTransitions[c.state][e]
	if c.errs == nil {
		c.errs = &closingErrors{}
	}
}

// withCause returns e with another cause beside its own.
func (e *CloseError) withCause(cause error) *CloseError {
	return &CloseError{Code: e.Code, Reason: e.Reason, Local: e.Local, Err: fmt.Errorf("%w: %w", e.Err, cause)}
}
