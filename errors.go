package websock

import (
	"errors"
	"fmt"
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport"
)

// The errors of this package are told apart with errors.Is and errors.As:
//
//   - ErrTimeout: nothing is lost; call again.
//   - *HandshakeError: there never was a connection.
//   - *CloseError: the connection is closed, by the peer, by us, or by the network.
//   - *ProtocolError: the peer broke RFC 6455; the connection is over.
//   - *LimitError: something is larger than Limits allows.
//   - *HandlerError: a Handler did not return; the connection is over.
type (
	HandshakeError = handshake.HandshakeError
	CloseError     = engine.CloseError
	ProtocolError  = engine.ProtocolError
	LimitError     = engine.LimitError
)

// ErrTimeout is what a receive returns when its time is over. It changes nothing: the same call
// can be made again, at any byte of a header or payload. It is a net.Error, and
// errors.Is(err, os.ErrDeadlineExceeded) holds.
var ErrTimeout = transport.ErrTimeout

// ErrClosed is in the chain of the errors of every call that comes after Close.
// errors.Is(ErrClosed, net.ErrClosed) holds.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return engine.ErrClosed.Error() }
func (closedError) Is(target error) bool {
	return target == net.ErrClosed || target == engine.ErrClosed
}

// isClosed reports whether err says that we closed the transport.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// ErrIdle is in the chain of the errors of a connection that KeepAlive has ended because nothing
// was received on it for too long. It is no ErrTimeout: the connection is over.
var ErrIdle = errors.New("websock: nothing was received for too long")

// Errors of sends after which nothing was sent and the connection stays usable.
var (
	// ErrInvalidUTF8 says that text is not UTF-8 (RFC 6455 section 5.6).
	ErrInvalidUTF8 = engine.ErrInvalidUTF8

	// ErrFrameOrder says that a frame can't stand at this place: a continuation with no
	// message begun, a new message before the last one's final fragment, a fragmented or
	// reserved opcode (RFC 6455 section 5.4).
	ErrFrameOrder = engine.ErrFrameOrder

	// ErrControlTooLong says that a control frame has more than 125 bytes (RFC 6455 section
	// 5.5).
	ErrControlTooLong = engine.ErrControlTooLong

	// ErrCloseCode says that CloseWith was given a code that must not be sent (RFC 6455
	// section 7.4).
	ErrCloseCode = engine.ErrCloseCode

	// ErrSendQueueFull says that more bytes wait for the peer than Limits.SendQueue allows.
	// Conn.Drain waits for room. It is in the chain of the *LimitError that TrySend, and a
	// send under QueueRefuses, returns.
	ErrSendQueueFull = errors.New("websock: send queue full")

	// ErrSendBuffer says that a SendBuffer was sent or released before, or is shorter than
	// asked for.
	ErrSendBuffer = errors.New("websock: send buffer used up or shorter than asked for")
)

// ErrReadOrder is what a receiving call returns that would take payload which belongs to
// another: Recv, RecvTimeout and RecvMessage while the reader of NextReader isn't at the end of
// its message, and Read of a reader after the next call of NextReader. Nothing was received; the
// connection stays usable.
var ErrReadOrder = errors.New("websock: the message belongs to another reader")

// ErrHandler is what a receiving call, and Read of a reader of NextReader, returns on a
// connection whose data goes to a Handler, and SetHandler when there is one already.
var ErrHandler = errors.New("websock: data goes to the connection's handler")

// ErrNoPush is what SetHandler returns when the connection's transport can't
// deliver data by callback.
var ErrNoPush = errors.New("websock: transport can't deliver data by callback")

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
