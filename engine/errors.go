package engine

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is in the chain of a CloseError when we closed the connection. That of package websock
// is another value, for which errors.Is(websock.ErrClosed, engine.ErrClosed) holds.
var ErrClosed = errors.New("websock: connection closed")

// ErrInvalidUTF8 is what an Encoder returns for text that is not UTF-8 (RFC 6455
// section 5.6). Nothing was encoded; the next frame can be.
var ErrInvalidUTF8 = errors.New("websock: text to send is not valid UTF-8")

// ErrFrameOrder is what an Encoder returns for a frame that can't stand at this
// place: a continuation with no message begun, a new message before the last
// one's final fragment, a fragmented or reserved opcode (RFC 6455 section 5.4).
// Nothing was encoded; the next frame can be.
var ErrFrameOrder = errors.New("websock: a frame of this opcode can't be sent here")

// ErrControlTooLong is what an Encoder returns for a control frame of more than 125
// bytes (RFC 6455 section 5.5). Nothing was encoded.
var ErrControlTooLong = errors.New("websock: control frame of more than 125 bytes")

// ErrCloseCode is what CheckClose returns for a code that must not be sent (RFC
// 6455 section 7.4).
var ErrCloseCode = errors.New("websock: close code must not be sent")

// A ProtocolError says what the peer broke, and the close code that it was
// told (RFC 6455 section 7.1.7). The connection is over.
type ProtocolError struct {
	Code    CloseCode // sent to the peer: 1002, or 1007 for text that is not UTF-8 and for what can't be inflated
	Rule    string    // the rule that was broken
	Section string    // where RFC 6455 states it, or the RFC that it names

	// PeerCode and PeerReason are what a close frame said that broke a rule of section 7.4 or
	// 5.5.1 by its code or its reason. They are as they came: the reason may be no UTF-8.
	// Without such a frame they are 0 and "".
	PeerCode   CloseCode
	PeerReason string
}

func (e *ProtocolError) Error() string {
	where := e.Section
	if !strings.HasPrefix(where, "RFC") {
		where = "RFC 6455 section " + where
	}
	text := "websock: protocol error: " + e.Rule + " (" + where + ")"
	if e.PeerCode != 0 {
		text += ": " + e.PeerCode.String()
	}
	if e.PeerReason != "" {
		text += fmt.Sprintf(": %q", e.PeerReason)
	}
	return text
}

// closedWith returns the error for a close frame that broke the rule.
func (e *ProtocolError) closedWith(code CloseCode, reason []byte) *ProtocolError {
	broken := *e
	broken.PeerCode, broken.PeerReason = code, string(reason)
	return &broken
}

// A LimitError says which limit was exceeded. On receiving, the peer
// was told Code and the connection is over; on sending, nothing was sent.
type LimitError struct {
	Limit string    // the field of Limits
	Max   int64     // its value
	Code  CloseCode // 1009 for sizes, 1008 for counts
	Err   error     // ErrSendQueueFull of package websock, or nil
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("websock: limit %s of %d exceeded", e.Limit, e.Max)
}

// Unwrap returns Err.
func (e *LimitError) Unwrap() error { return e.Err }

// A CloseError says how the connection ended.
//
// With the peer's close frame, Code and Reason are the peer's. After our own
// Close, they are ours, Local is set and ErrClosed is in the chain. Without a
// close frame, Code is CloseAbnormal and Err says what happened on the network:
// io.ErrUnexpectedEOF when the peer just hung up (RFC 6455 section 7.1.5).
//
// What OnClose gets after our own Close tells more. If the peer has completed the closing
// handshake, and so has got all that we have sent, Err is ErrClosed. Else what has ended the
// connection is in the chain, too: ErrTimeout if the peer's answer didn't come in time, or
// what happened on the network. If that was our close frame's write, a close frame that the
// peer had sent before is there as well.
type CloseError struct {
	Code   CloseCode
	Reason string
	Local  bool  // we closed first
	Err    error // the cause, or nil
}

func (e *CloseError) Error() string {
	text := "websock: closed by the peer: "
	if e.Local {
		text = "websock: closed by us: "
	} else if e.Code == CloseAbnormal {
		text = "websock: connection lost: "
	}
	text += e.Code.String()
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Err != nil && !justClosed(e.Err) {
		text += ": " + e.Err.Error()
	}
	return text
}

// justClosed reports whether err itself, and no other error in its chain, says that we closed.
func justClosed(err error) bool {
	is, ok := err.(interface{ Is(error) bool })
	return err == ErrClosed || ok && is.Is(ErrClosed)
}

// Unwrap returns the cause.
func (e *CloseError) Unwrap() error { return e.Err }

// What a peer can break, each with the place in RFC 6455 that forbids it.
var (
	errReservedBits      = &ProtocolError{Code: CloseProtocolError, Rule: "reserved bit set without an extension that uses it here", Section: "5.2"}
	errReservedOpcode    = &ProtocolError{Code: CloseProtocolError, Rule: "reserved opcode", Section: "5.2"}
	errControlFragmented = &ProtocolError{Code: CloseProtocolError, Rule: "fragmented control frame", Section: "5.5"}
	errControlTooLong    = &ProtocolError{Code: CloseProtocolError, Rule: "control frame of more than 125 bytes", Section: "5.5"}
	errLengthNotMinimal  = &ProtocolError{Code: CloseProtocolError, Rule: "payload length not in its shortest form", Section: "5.2"}
	errLengthOverflow    = &ProtocolError{Code: CloseProtocolError, Rule: "payload length of more than 63 bits", Section: "5.2"}
	errMasked            = &ProtocolError{Code: CloseProtocolError, Rule: "masked frame from a server", Section: "5.1"}
	errNotMasked         = &ProtocolError{Code: CloseProtocolError, Rule: "unmasked frame from a client", Section: "5.1"}
	errNothingToContinue = &ProtocolError{Code: CloseProtocolError, Rule: "continuation frame without a message begun", Section: "5.4"}
	errMessageUnfinished = &ProtocolError{Code: CloseProtocolError, Rule: "new message before the last one ended", Section: "5.4"}
	errCloseTooShort     = &ProtocolError{Code: CloseProtocolError, Rule: "close frame of one byte", Section: "5.5.1"}
	errCloseCode         = &ProtocolError{Code: CloseProtocolError, Rule: "close code that must not be sent", Section: "7.4"}
	errCloseReason       = &ProtocolError{Code: CloseInvalidPayload, Rule: "close reason that is not UTF-8", Section: "5.5.1"}
	errNotDeflated       = &ProtocolError{Code: CloseInvalidPayload, Rule: "compressed message that can't be inflated", Section: "RFC 7692 section 7.2.2"}
	errNotUTF8           = &ProtocolError{Code: CloseInvalidPayload, Rule: "text that is not UTF-8", Section: "8.1"}
)
