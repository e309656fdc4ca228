package websock

import (
	"errors"
	"fmt"
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
)

// Errors are distinguished with errors.Is and errors.As:
//
//   - ErrTimeout: nothing was lost; call again.
//   - *HandshakeError: no connection was established.
//   - *CloseError: the connection has ended: closed by the peer or by us, or lost.
//   - *ProtocolError: the peer violated RFC 6455; the connection has ended.
//   - *LimitError: something exceeds a field of Limits.
//   - *HandlerError: a Handler did not return; the connection has ended.
type (
	// A HandshakeError says why connecting or the opening handshake failed (RFC 6455 section 4).
	// There is no connection. Its fields are
	//
	//	Reason string      // what was wrong
	//	Status int         // HTTP status of the response; 0 without one
	//	Header http.Header // of the response; nil without one
	//	Body   []byte      // the start of the response's body, at most 1 KiB
	//	Host   string      // host and port of the server, or the path of its Unix socket
	//	Proxy  string      // host and port of the proxy, if it failed there
	//	Err    error       // the cause, or nil
	HandshakeError = handshake.HandshakeError

	// A CloseError says how the connection has ended, with the Code and the Reason of the close
	// frame, and whether the end was ours (Local). See engine.CloseError.
	CloseError = engine.CloseError

	// A ProtocolError says which Section of RFC 6455 the peer has violated. The connection has
	// ended. See engine.ProtocolError.
	ProtocolError = engine.ProtocolError

	// A LimitError names the field of Limits that was exceeded. See engine.LimitError.
	LimitError = engine.LimitError

	// A StreamError says why a WebSocket over HTTP/2 or HTTP/3 has ended alone, or was not opened: the peer,
	// or we, have reset its stream (RFC 9113 section 5.4.2). See h2.StreamError.
	StreamError = h2.StreamError

	// A SessionError says why an HTTP/2 or QUIC connection has ended, with all of its WebSockets. See
	// h2.SessionError.
	SessionError = h2.SessionError
)

// ErrTimeout is returned by a receive that has reached its deadline. Nothing has changed: the call
// can be repeated, at any byte of a header or payload. It is a net.Error, and errors.Is(err,
// os.ErrDeadlineExceeded) holds.
var ErrTimeout = transport.ErrTimeout

// ErrClosed is in the chain of the errors of all calls after Close. errors.Is(ErrClosed,
// net.ErrClosed) holds.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string { return engine.ErrClosed.Error() }
func (closedError) Is(target error) bool {
	return target == net.ErrClosed || target == engine.ErrClosed
}

// isClosed reports whether err means that we have closed the transport.
func isClosed(err error) bool { return errors.Is(err, net.ErrClosed) }

// ErrIdle is in the chain of the errors of a connection that KeepAlive has aborted because nothing
// was received for too long. It is not an ErrTimeout: the connection has ended.
var ErrIdle = errors.New("websock: nothing was received for too long")

// Errors of sends after which nothing was sent and the connection stays usable.
var (
	// ErrInvalidUTF8 means that text is not UTF-8 (RFC 6455 section 5.6).
	ErrInvalidUTF8 = engine.ErrInvalidUTF8

	// ErrFrameOrder means that a frame must not be sent now: a continuation outside a message, a
	// new message before the final fragment of the last one, a fragmented or reserved opcode (RFC
	// 6455 section 5.4).
	ErrFrameOrder = engine.ErrFrameOrder

	// ErrControlTooLong means that a control frame has more than 125 bytes (RFC 6455 section 5.5).
	ErrControlTooLong = engine.ErrControlTooLong

	// ErrCloseCode means that the code given to CloseWith must not be sent (RFC 6455 section 7.4).
	ErrCloseCode = engine.ErrCloseCode

	// ErrSendQueueFull means that more bytes wait for the peer than Limits.SendQueue allows.
	// Conn.Drain waits for room. It is in the chain of the *LimitError that TrySend, and sends with
	// QueueRefuses, return.
	ErrSendQueueFull = errors.New("websock: send queue full, what was sent is not read fast enough")

	// ErrSendBuffer means that a SendBuffer was already sent or released, or is too small.
	ErrSendBuffer = errors.New("websock: send buffer used up or shorter than asked for")
)

// ErrReadOrder is returned by a receiving call whose payload belongs to another one: by Recv,
// RecvTimeout and RecvMessage while the reader of NextReader isn't at the end of its message, and
// by Read of a reader after the next call of NextReader. Nothing was received; the connection stays
// usable.
var ErrReadOrder = errors.New("websock: the message belongs to another reader")

// ErrHandler is returned by receiving calls, and by Read of a reader of NextReader, on a connection
// with a Handler, and by SetHandler if there already is one.
var ErrHandler = errors.New("websock: data goes to the connection's handler")

// ErrNoPush is returned by SetHandler if the transport doesn't support Handlers.
var ErrNoPush = errors.New("websock: transport can't deliver data by callback")

// A HandlerError means that a method of the Handler did not return. It has panicked, which is an
// error only with Options.Recover, or it has called runtime.Goexit, as testing.T.Fatal does. The
// connection has ended, and the peer was sent CloseInternalError.
type HandlerError struct {
	Value any // the value given to panic, or nil after runtime.Goexit
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
