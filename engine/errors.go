package engine

import (
	"errors"
	"fmt"
	"strings"
)

// ErrClosed is in the chain of a CloseError if we closed the connection. That of package websock is
// another value; errors.Is(websock.ErrClosed, engine.ErrClosed) holds.
var ErrClosed = errors.New("websock: connection closed")

// ErrInvalidUTF8 is returned for text to send that is not UTF-8 (RFC 6455 section 5.6). Nothing was
// encoded, and other frames can be.
var ErrInvalidUTF8 = errors.New("websock: text to send is not valid UTF-8")

// ErrFrameOrder is returned for a frame that must not be sent now: a continuation outside a
// message, a new message before the final fragment of the last one, a fragmented or reserved opcode
// (RFC 6455 section 5.4). Nothing was encoded, and other frames can be.
var ErrFrameOrder = errors.New("websock: a frame of this opcode can't be sent here")

// ErrControlTooLong is returned for a control frame to send of more than 125 bytes (RFC 6455
// section 5.5). Nothing was encoded.
var ErrControlTooLong = errors.New("websock: control frame of more than 125 bytes")

// ErrCloseCode is returned by CheckClose for a code that must not be sent (RFC 6455 section 7.4).
var ErrCloseCode = errors.New("websock: close code must not be sent")

// A ProtocolError is a violation of the protocol by the peer (RFC 6455 section 7.1.7). The
// connection has ended.
type ProtocolError struct {
	Code    CloseCode // sent to the peer: 1002, or 1007 for invalid text and invalid compressed data
	Rule    string    // the rule that was violated
	Section string    // the section of RFC 6455; "RFC n section s" for another RFC

	// PeerCode and PeerReason are those of a close frame that violates section 7.4 or 5.5.1, as
	// received: the reason may not be UTF-8. For other violations they are 0 and "".
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

// withPeerClose returns e for a close frame with that code and reason.
func (e *ProtocolError) withPeerClose(code CloseCode, reason []byte) *ProtocolError {
	broken := *e
	broken.PeerCode, broken.PeerReason = code, string(reason)
	return &broken
}

// A LimitError says which limit was exceeded. When receiving, the peer was sent Code and the
// connection has ended; when sending, nothing was sent.
type LimitError struct {
	Limit string    // the field of Limits
	Max   int64     // its value
	Code  CloseCode // 1009 for sizes, 1008 for counts
	Err   error     // ErrSendQueueFull of package websock, or nil
}

func (e *LimitError) Error() string {
	why := "websock"
	if e.Err != nil {
		why = e.Err.Error()
	}
	return fmt.Sprintf("%s: limit %s of %d exceeded", why, e.Limit, e.Max)
}

// Unwrap returns Err.
func (e *LimitError) Unwrap() error { return e.Err }

// A CloseError says how the connection ended.
//
// If the peer sent a close frame first, Code and Reason are the peer's. After our own Close they
// are ours, Local is set and ErrClosed is in the chain. Without a close frame, Code is
// CloseAbnormal and Err is the error of the network: io.ErrUnexpectedEOF if the peer just closed
// the stream (RFC 6455 section 7.1.5).
//
// The error of OnClose after our own Close also says how the closing handshake ended. If the peer
// completed it, and so has received everything we sent, Err is ErrClosed. Otherwise Err also wraps
// the cause: ErrTimeout if the peer didn't answer in time, or the error of the network. If our
// close frame could not be written, Err also wraps a *CloseError for a close frame that the peer
// had sent before.
type CloseError struct {
	Code   CloseCode
	Reason string
	Local  bool  // we closed first
	Err    error // the cause, or nil
}

func (e *CloseError) Error() string {
	text := "websock: closed by the peer: "
	switch {
	case e.Local && e.Code == CloseAbnormal:
		text = "websock: aborted by us: "
	case e.Local:
		text = "websock: closed by us: "
	case e.Code == CloseAbnormal:
		text = "websock: connection lost: "
	}
	text += e.Code.String()
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Err != nil && !isErrClosed(e.Err) {
		text += ": " + e.Err.Error()
	}
	return text
}

// isErrClosed reports whether err itself, and not another error in its chain, is ErrClosed.
func isErrClosed(err error) bool {
	is, ok := err.(interface{ Is(error) bool })
	return err == ErrClosed || ok && is.Is(ErrClosed)
}

// Unwrap returns Err.
func (e *CloseError) Unwrap() error { return e.Err }

// Violations of the protocol by the peer.
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
