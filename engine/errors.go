package engine

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/seed004e8d11/websock/transport"
)

// The errors of this module are of five kinds, all told apart with errors.Is
// and errors.As:
//
//   - ErrTimeout: nothing is lost; call again.
//   - *ProtocolError: the peer broke RFC 6455; the connection is over.
//   - *LimitError: something is larger than Limits allows.
//   - *CloseError: the connection is closed, by the peer, by us, or by the
//     network.
//   - *HandshakeError, of package websock: there never was a connection.

// ErrTimeout is what a receive returns when its time is over. It changes nothing: the same call
// can be made again, at any byte of a header or payload. It is a net.Error, and
// errors.Is(err, os.ErrDeadlineExceeded) holds.
var ErrTimeout = transport.ErrTimeout

// ErrClosed is in the chain of the errors of every call that comes after Close.
// errors.Is(ErrClosed, net.ErrClosed) holds.
var ErrClosed error = closedError{}

// ErrIdle is in the chain of the errors of a connection that was given up because nothing
// was received on it for too long. It is no ErrTimeout: the connection is over.
var ErrIdle = errors.New("websock: nothing was received for too long")

// ErrInvalidUTF8 is what a send returns for text that is not UTF-8 (RFC 6455
// section 5.6). Nothing was sent; the connection stays usable.
var ErrInvalidUTF8 = errors.New("websock: text to send is not valid UTF-8")

// ErrFrameOrder is what a send returns for a frame that can't stand at this
// place: a continuation with no message begun, a new message before the last
// one's final fragment, a fragmented or reserved opcode (RFC 6455 section 5.4).
// Nothing was sent; the connection stays usable.
var ErrFrameOrder = errors.New("websock: a frame of this opcode can't be sent here")

// ErrReadOrder is what a receiving call returns that would take payload which belongs to
// another: Recv, RecvTimeout and RecvMessage while the reader of NextReader isn't at the end of
// its message, and Read of a reader after the next call of NextReader. Nothing was received; the
// connection stays usable.
var ErrReadOrder = errors.New("websock: the message belongs to another reader")

// ErrControlTooLong is what a send returns for a control frame of more than 125
// bytes (RFC 6455 section 5.5). Nothing was sent.
var ErrControlTooLong = errors.New("websock: control frame of more than 125 bytes")

// ErrSendQueueFull says that more bytes wait for the peer than Limits.SendQueue allows. Nothing
// was sent; the connection stays usable, and Conn.Drain waits for room. TrySend and a send under
// QueueRefuses return a *LimitError for which errors.Is(err, ErrSendQueueFull) holds.
var ErrSendQueueFull = errors.New("websock: send queue full")

// ErrCloseCode is what CloseWith returns for a code that must not be sent (RFC
// 6455 section 7.4). Nothing was sent; the connection stays open.
var ErrCloseCode = errors.New("websock: close code must not be sent")

// ErrHandler is what a receiving call, and Read of a reader of NextReader, returns on a
// connection whose data goes to a Handler, and SetHandler when there is one already.
var ErrHandler = errors.New("websock: data goes to the connection's handler")

// ErrNoPush is what SetHandler returns when the connection's transport can't
// deliver data by callback.
var ErrNoPush = errors.New("websock: transport can't deliver data by callback")

type closedError struct{}

func (closedError) Error() string        { return "websock: connection closed" }
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// isClosed reports whether err says that we closed the transport.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

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

// A LimitError says which field of Limits was exceeded. On receiving, the peer
// was told Code and the connection is over; on sending, nothing was sent.
type LimitError struct {
	Limit string    // the field of Limits
	Max   int64     // its value
	Code  CloseCode // 1009 for sizes, 1008 for counts
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("websock: limit %s of %d exceeded", e.Limit, e.Max)
}

// Is reports whether target is ErrSendQueueFull and SendQueue is the limit.
func (e *LimitError) Is(target error) bool {
	return target == ErrSendQueueFull && e.Limit == sendQueue
}

// sendQueue is what a *LimitError calls Limits.SendQueue.
const sendQueue = "SendQueue"

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
	if e.Err != nil && e.Err != ErrClosed {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *CloseError) Unwrap() error { return e.Err }

// A HandlerError says that a method of the Handler did not return: it panicked, which is an
// error only where there is an Options.Recover, or it called runtime.Goexit, as
// testing.T.Fatal does. The connection is over, and the peer was told CloseInternalError.
type HandlerError struct {
	Value any // what was given to panic; nil: runtime.Goexit was called
}

func (e *HandlerError) Error() string {
	if e.Value == nil {
		return "websock: the handler called runtime.Goexit"
	}
	return fmt.Sprintf("websock: the handler panicked: %v", e.Value)
}

// Unwrap returns Value if it is an error, else nil.
func (e *HandlerError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

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
