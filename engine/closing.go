package engine

import "fmt"

// A ClosingState is the state of the closing handshake (RFC 6455 section 7).
type ClosingState uint8

const (
	StateOpen          ClosingState = iota // messages may be sent and received
	StateCloseSent                         // we closed first; the peer has not answered
	StateCloseReceived                     // the peer closed first; our answer is the last frame we send
	StateAborted                           // we ended the connection without a closing handshake
	StateClosed                            // the closing handshake is complete, or the stream has ended

	closingStates = int(iota)
)

// String returns the name of the state in lower case.
func (s ClosingState) String() string {
	return [closingStates]string{"open", "close sent", "close received", "aborted", "closed"}[s]
}

// A closingEvent changes the state of a Closing.
type closingEvent uint8

const (
	sendCloseEvent    closingEvent = iota // we send a close frame
	receiveCloseEvent                     // the peer's close frame has arrived
	abortEvent                            // we end the connection without one
	streamEndEvent                        // nothing more arrives

	closingEvents = int(iota)
)

// closingTransitions has the next state for each state and event. We can close or abort only an
// open connection: later calls change nothing.
var closingTransitions = [closingStates][closingEvents]ClosingState{
	StateOpen:          {sendCloseEvent: StateCloseSent, receiveCloseEvent: StateCloseReceived, abortEvent: StateAborted, streamEndEvent: StateClosed},
	StateCloseSent:     {sendCloseEvent: StateCloseSent, receiveCloseEvent: StateClosed, abortEvent: StateCloseSent, streamEndEvent: StateClosed},
	StateCloseReceived: {sendCloseEvent: StateCloseReceived, receiveCloseEvent: StateCloseReceived, abortEvent: StateCloseReceived, streamEndEvent: StateClosed},
	StateAborted:       {sendCloseEvent: StateAborted, receiveCloseEvent: StateClosed, abortEvent: StateAborted, streamEndEvent: StateClosed},
	StateClosed:        {sendCloseEvent: StateClosed, receiveCloseEvent: StateClosed, abortEvent: StateClosed, streamEndEvent: StateClosed},
}

// closingReceives has the states in which the peer may send messages. We may send in StateOpen
// only.
var closingReceives = [closingStates]bool{StateOpen: true, StateCloseSent: true}

// A Closing is the closing handshake of one connection: its state, and the errors of later sends
// and receives. The zero value is an open connection. Calls must be serialized; sends, receives and
// Close usually come from different goroutines.
//
// A failed write is independent of the state: it ends sending only. What the peer has sent,
// including its close frame, can still be received.
type Closing struct {
	p *closingProgress // nil: open, and no write has failed
}

// closingProgress is separate from Closing so that open connections don't need its memory.
type closingProgress struct {
	state  ClosingState
	ended  *CloseError // how the connection was closed or aborted first; nil: it was not
	failed *CloseError // why nothing can be written; nil: frames can be written
}

// State returns the state.
func (c *Closing) State() ClosingState {
	if c.p == nil {
		return StateOpen
	}
	return c.p.state
}

// MaySend reports whether messages may be sent: the connection is open, and no write has failed.
func (c *Closing) MaySend() bool { return c.p == nil }

// MayReceive reports whether the peer may send messages.
func (c *Closing) MayReceive() bool { return closingReceives[c.State()] }

// SendErr returns nil if messages can be sent, and otherwise how the connection was closed or, if
// it was not, why a write has failed.
func (c *Closing) SendErr() error {
	switch {
	case c.p == nil:
		return nil
	case c.p.ended != nil:
		return c.p.ended
	}
	return c.p.failed
}

// WriteErr returns nil if accepted frames can be written, and otherwise why not.
func (c *Closing) WriteErr() error {
	if c.p == nil || c.p.failed == nil {
		return nil
	}
	return c.p.failed
}

// Begun reports whether the connection was closed or aborted, by either side. A failed write or the
// end of the stream alone doesn't count.
func (c *Closing) Begun() bool { return c.p != nil && c.p.ended != nil }

// ClosedByUs reports whether we closed or aborted the connection first.
func (c *Closing) ClosedByUs() bool {
	return c.p != nil && c.p.ended != nil && c.p.ended.Local
}

// SendClose records that we close the connection; later sends return closeErr. It reports whether
// the caller must send a close frame: at most one is sent, and none after a failed write.
func (c *Closing) SendClose(closeErr *CloseError) (send bool) {
	if !c.MaySend() {
		return false
	}
	c.next(sendCloseEvent)
	c.p.ended = closeErr
	return true
}

// ReceiveClose records that the peer's close frame has arrived; closeErr has its code and reason.
// It reports whether the caller must answer with a close frame, and returns the error of later
// receives.
func (c *Closing) ReceiveClose(closeErr *CloseError) (answer bool, err *CloseError) {
	c.next(receiveCloseEvent)
	ended, failed := c.p.ended, c.p.failed
	switch {
	case ended == nil:
		c.p.ended = closeErr
		return failed == nil, closeErr
	case ended.Local && failed != nil: // our close frame was not written, so this doesn't answer it
		return false, ended.withCause(fmt.Errorf("%w; %w", failed.Err, closeErr))
	}
	return false, ended
}

// SendFailed records that a write has failed with closeErr.
func (c *Closing) SendFailed(closeErr *CloseError) {
	if c.p == nil {
		c.p = &closingProgress{}
	}
	if c.p.failed == nil {
		c.p.failed = closeErr
	}
}

// Abort records that we end the connection without a closing handshake. If the connection was
// closed before, only frames that wait to be written fail with closeErr.
func (c *Closing) Abort(closeErr *CloseError) {
	c.next(abortEvent)
	if c.p.ended == nil && c.p.failed == nil {
		c.p.ended = closeErr
	}
	c.SendFailed(closeErr)
}

// StreamEnded records that nothing more will arrive, because of cause, and returns the error of
// later receives. See Ended for byUs and timeout.
func (c *Closing) StreamEnded(cause error, byUs, timeout bool) *CloseError {
	closeErr := c.Ended(cause, byUs, timeout)
	c.next(streamEndEvent)
	c.SendFailed(closeErr)
	return closeErr
}

// Ended returns the error of receives if the stream ended now because of cause. byUs means that it
// ended only because we have closed the transport, after SendClose or Abort; timeout, that the
// closing handshake took too long.
func (c *Closing) Ended(cause error, byUs, timeout bool) *CloseError {
	var ended, failed *CloseError
	if c.p != nil {
		ended, failed = c.p.ended, c.p.failed
	}
	switch {
	case ended == nil && failed != nil: // the stream ended because sending did
		return failed
	case ended == nil:
		return &CloseError{Code: CloseAbnormal, Err: cause}
	case c.State() == StateCloseReceived || c.State() == StateClosed || failed == ended || byUs:
		return ended
	case failed != nil && !timeout:
		cause = failed.Err
	}
	return ended.withCause(cause)
}

// next changes the state.
func (c *Closing) next(e closingEvent) {
	if c.p == nil {
		c.p = &closingProgress{}
	}
	c.p.state = closingTransitions[c.p.state][e]
}

// withCause returns a copy of e with cause as another cause.
func (e *CloseError) withCause(cause error) *CloseError {
	if e.Err != nil {
		cause = fmt.Errorf("%w: %w", e.Err, cause)
	}
	return &CloseError{Code: e.Code, Reason: e.Reason, Local: e.Local, Err: cause}
}
