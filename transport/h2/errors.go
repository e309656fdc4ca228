package h2

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
)

// ErrRefused is in the chain of the error of a stream whose request the peer certainly has not
// processed: it was refused with REFUSED_STREAM, or its number is above the last one of a GOAWAY.
// The request can be sent again on another connection (RFC 9113 section 8.7).
var ErrRefused = errors.New("websock: HTTP/2: the peer has not processed the request")

// ErrNoRoom is what Session.Open returns if no more streams can be opened at present.
var ErrNoRoom = errors.New("websock: HTTP/2: no more streams can be opened")

// ErrPing is in the chain of the errors of a Session that KeepAlive has ended, unless the caller gave
// another cause.
var ErrPing = errors.New("websock: HTTP/2: nothing was received for too long")

// A StreamError is why one stream has ended before its time. The other streams of its Session go on.
type StreamError struct {
	// Code is that of the RST_STREAM frame (RFC 9113 section 7).
	Code http2.ErrCode

	// Remote says that the peer has reset the stream, and not we.
	Remote bool

	// Rule is what the peer has violated, if we have reset the stream for that; else "".
	Rule string
}

func (e *StreamError) Error() string {
	switch {
	case e.Remote:
		return fmt.Sprintf("websock: HTTP/2: the peer has reset the stream: %v", e.Code)
	case e.Rule != "":
		return fmt.Sprintf("websock: HTTP/2: stream reset: %v: %s", e.Code, e.Rule)
	}
	return fmt.Sprintf("websock: HTTP/2: stream reset: %v", e.Code)
}

// Is reports whether target is ErrRefused and the peer has said that it did not process the request.
func (e *StreamError) Is(target error) bool {
	return target == ErrRefused && e.Remote && e.Code == http2.ErrCodeRefusedStream
}

// A SessionError is why a Session has ended, and all streams that it had.
type SessionError struct {
	// Code is that of the GOAWAY frame that was sent or received (RFC 9113 section 7).
	Code http2.ErrCode

	// Remote says that the peer has ended the Session, with a GOAWAY frame.
	Remote bool

	// Rule is what the peer has violated, or the text of the peer's GOAWAY frame; it may be "".
	Rule string

	// Err is the cause, such as io.ErrUnexpectedEOF if the connection was lost, or nil.
	Err error
}

func (e *SessionError) Error() string {
	text := "websock: HTTP/2: "
	switch {
	case e.Remote:
		text += fmt.Sprintf("the peer has ended the connection: %v", e.Code)
	case e.Code != http2.ErrCodeNo:
		text += fmt.Sprintf("connection ended: %v", e.Code)
	default:
		text += "connection ended"
	}
	if e.Rule != "" {
		text += ": " + e.Rule
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *SessionError) Unwrap() error { return e.Err }

// violation returns the error for a peer that has violated the RFC.
func violation(code http2.ErrCode, rule string) *SessionError {
	return &SessionError{Code: code, Rule: rule}
}
