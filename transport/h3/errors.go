package h3

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
)

// A StreamError is why one WebSocket has ended before its time, or was not opened: its stream was reset.
// The others of its QUIC connection go on. errors.As also finds it as a *websock.StreamError, with the
// code of HTTP/2 that means the same, so that a program needs to know only one of them.
type StreamError struct {
	Code   http3.ErrCode // of the RESET_STREAM or STOP_SENDING frame (RFC 9114 section 8.1)
	Remote bool          // the peer has reset the stream, and not we
	Rule   string        // what the peer has violated, if we have reset the stream for that; else ""
}

func (e *StreamError) Error() string {
	switch {
	case e.Remote:
		return fmt.Sprintf("websock: HTTP/3: the peer has reset the stream: %v", e.Code)
	case e.Rule != "":
		return fmt.Sprintf("websock: HTTP/3: stream reset: %v: %s", e.Code, e.Rule)
	}
	return fmt.Sprintf("websock: HTTP/3: stream reset: %v", e.Code)
}

// Is reports whether target is h2.ErrRefused and the peer has said that it did not process the request.
func (e *StreamError) Is(target error) bool {
	return target == h2.ErrRefused && e.Remote && e.Code == http3.ErrCodeRequestRejected
}

// As sets a target of type **websock.StreamError.
func (e *StreamError) As(target any) bool {
	t, ok := target.(**h2.StreamError)
	if ok {
		*t = &h2.StreamError{Code: http2Code(e.Code), Remote: e.Remote, Rule: e.Rule}
	}
	return ok
}

// A SessionError is why a QUIC connection has ended, with all of its WebSockets. errors.As also finds it
// as a *websock.SessionError, with the code of HTTP/2 that means the same.
type SessionError struct {
	// Code is that of the CONNECTION_CLOSE frame, if that was sent by HTTP/3 (RFC 9114 section 8.1).
	// Otherwise it is 0, and Err says what has happened.
	Code http3.ErrCode

	// Remote says that the peer has ended the connection.
	Remote bool

	// Err is the cause: a *quic.ApplicationError, *quic.TransportError, *quic.IdleTimeoutError (the peer
	// can't be reached any more), *quic.StatelessResetError (the peer has restarted), or what was given to
	// Close.
	Err error
}

func (e *SessionError) Error() string {
	text := "websock: HTTP/3: connection ended"
	if e.Remote {
		text = "websock: HTTP/3: the peer has ended the connection"
	}
	if e.Code != 0 {
		text += ": " + e.Code.String()
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *SessionError) Unwrap() error { return e.Err }

// As sets a target of type **websock.SessionError.
func (e *SessionError) As(target any) bool {
	t, ok := target.(**h2.SessionError)
	if ok {
		*t = &h2.SessionError{Code: http2Code(e.Code), Remote: e.Remote, Err: e.Err}
	}
	return ok
}

// http2Code returns the code of HTTP/2 for one of HTTP/3 (RFC 9114 appendix A.4).
func http2Code(code http3.ErrCode) http2.ErrCode {
	switch code {
	case 0, http3.ErrCodeNoError:
		return http2.ErrCodeNo
	case http3.ErrCodeInternalError:
		return http2.ErrCodeInternal
	case http3.ErrCodeFrameError:
		return http2.ErrCodeFrameSize
	case http3.ErrCodeExcessiveLoad:
		return http2.ErrCodeEnhanceYourCalm
	case http3.ErrCodeRequestRejected:
		return http2.ErrCodeRefusedStream
	case http3.ErrCodeRequestCanceled:
		return http2.ErrCodeCancel
	case http3.ErrCodeConnectError:
		return http2.ErrCodeConnect
	case http3.ErrCodeVersionFallback:
		return http2.ErrCodeHTTP11Required
	case http3.ErrCodeQPACKDecompressionFailed:
		return http2.ErrCodeCompression
	}
	return http2.ErrCodeProtocol
}

// streamError returns the error for one of quic-go: io.EOF and deadlines as they are, else a *StreamError
// or a *SessionError.
func streamError(err error) error {
	var reset *quic.StreamError
	switch {
	case err == nil, err == io.EOF, err == io.ErrUnexpectedEOF, errors.Is(err, os.ErrDeadlineExceeded), isOwn(err):
		return err
	case errors.As(err, &reset):
		return &StreamError{Code: http3.ErrCode(reset.ErrorCode), Remote: reset.Remote}
	case errors.Is(err, quic.ErrStreamClosed):
		return net.ErrClosed
	}
	return sessionError(err)
}

// isOwn reports whether err is one of ours already.
func isOwn(err error) bool {
	var stream *StreamError
	var session *SessionError
	return errors.As(err, &stream) || errors.As(err, &session)
}

// sessionError returns the error for one of a connection of quic-go.
func sessionError(err error) *SessionError {
	var own *SessionError
	var app *quic.ApplicationError
	var below *quic.TransportError
	var reset *quic.StatelessResetError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &app):
		return &SessionError{Code: http3.ErrCode(app.ErrorCode), Remote: app.Remote, Err: err}
	case errors.As(err, &below):
		return &SessionError{Remote: below.Remote, Err: err}
	}
	return &SessionError{Remote: errors.As(err, &reset), Err: err}
}
