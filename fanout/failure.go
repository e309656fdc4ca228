package fanout

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
)

// A Reason says why a slot went down.
type Reason uint8

// The reasons for which a slot goes down.
const (
	AttemptFailed  Reason = iota + 1 // it could not be connected
	ConnectionLost                   // its connection has ended
	ShutDown                         // Shutdown has ended its attempt or connection
	Ended                            // likewise Remove, Abort, Stop or Reconnect
)

// String returns the reason in words, such as "connection lost".
func (r Reason) String() string {
	switch r {
	case AttemptFailed:
		return "attempt failed"
	case ConnectionLost:
		return "connection lost"
	case ShutDown:
		return "shut down"
	case Ended:
		return "ended"
	}
	return "invalid"
}

// A DownError is the error that OnDown, Options.Permanent and Slot.Err give. errors.Is and errors.As
// find in it the error of websock.Open, Prepare or OnConnect, or the one with which the connection
// has ended, a *websock.CloseError for instance.
type DownError struct {
	Reason Reason
	Err    error // never nil
}

func (e *DownError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *DownError) Unwrap() error { return e.Err }

// ReasonOf returns the Reason of the *DownError in the chain of err, 0 if there is none.
func ReasonOf(err error) Reason {
	var down *DownError
	if errors.As(err, &down) {
		return down.Reason
	}
	return 0
}

// A Failure is a kind of failure, as Stats.Failed counts them.
type Failure string

// The kinds of failures. If an error is of several kinds, the first one counts.
const (
	FailedEnded    Failure = "ended"    // Remove, Abort, Stop or Reconnect has ended the attempt, or the connection
	FailedShutdown Failure = "shutdown" // Shutdown, or the end of a context, has ended the attempt
	FailedFull     Failure = "full"     // no stream of the Mux was free in time: see websock.ErrNoStream
	FailedTimeout  Failure = "timeout"  // a time limit was exceeded
	FailedLocal    Failure = "local"    // too many files are open, in this process or system
	FailedResolve  Failure = "resolve"  // the host name was not resolved
	FailedTLS      Failure = "tls"      // the TLS handshake failed
	FailedProxy    Failure = "proxy"    // the proxy can't be reached, or refuses
	FailedStatus   Failure = "status"   // the server answered with an HTTP status other than 101, or 2xx over HTTP/2
	FailedRefused  Failure = "refused"  // the server has reset the stream, or ended the HTTP/2 connection
	FailedConnect  Failure = "connect"  // no connection to the host, or it was lost
	FailedProtocol Failure = "protocol" // the server's answer is no valid opening handshake
	FailedSetUp    Failure = "setup"    // Prepare or OnConnect returned an error

	// FailedLost isn't the failure of an attempt: a connection that was up has ended.
	FailedLost Failure = "lost"
)

// FailureOf returns the kind of an error that OnDown got, or of one that websock.Open, websock.Dial
// or a connection returned.
func FailureOf(err error) Failure {
	var handshake *websock.HandshakeError
	var op *net.OpError
	var session *websock.SessionError
	reason := ReasonOf(err)
	switch {
	case reason == Ended:
		return FailedEnded
	case reason == ShutDown:
		return FailedShutdown
	case reason == ConnectionLost, reason == 0 && endsConnection(err):
		return FailedLost
	case reason == 0 && (errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed)):
		return FailedShutdown
	case errors.Is(err, websock.ErrNoStream):
		return FailedFull
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, websock.ErrIdle):
		return FailedTimeout
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return FailedLocal
	case errors.As(err, new(*net.DNSError)):
		return FailedResolve
	case isTLSFailure(err):
		return FailedTLS
	case !errors.As(err, &handshake):
		return FailedSetUp
	case handshake.Proxy != "":
		return FailedProxy
	case handshake.Status != 0:
		return FailedStatus
	case refused(err):
		return FailedRefused
	case errors.As(err, &op), errors.As(err, &session) && session.Code == http2.ErrCodeNo:
		return FailedConnect
	}
	return FailedProtocol
}

// refused reports whether the server doesn't want a stream, or the whole HTTP/2 connection.
func refused(err error) bool {
	var stream *websock.StreamError
	var session *websock.SessionError
	return errors.As(err, &stream) && stream.Remote || errors.As(err, &session) && session.Remote
}

// endsConnection reports whether err is one with which connections end.
func endsConnection(err error) bool {
	switch {
	case errors.As(err, new(*websock.HandshakeError)):
		return false
	case errors.As(err, new(*websock.CloseError)), errors.As(err, new(*websock.ProtocolError)), errors.As(err, new(*websock.LimitError)), errors.As(err, new(*websock.HandlerError)):
		return true
	}
	return false
}

func isTLSFailure(err error) bool {
	_, alerted := alertOf(err)
	return alerted || errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError))
}

// alertOf returns the TLS alert in the chain of err, which we or the peer may have sent.
func alertOf(err error) (alert tls.AlertError, ok bool) {
	var op *net.OpError
	switch {
	case errors.As(err, &alert):
		return alert, true
	case !errors.As(err, &op) || op.Op != "remote error" && op.Op != "local error":
		return 0, false
	}
	// crypto/tls doesn't export the type of op.Err, but its texts are those of AlertError.
	for n := range 256 {
		if alert = tls.AlertError(n); op.Err.Error() == alert.Error() {
			return alert, true
		}
	}
	return 0, true // an alert without a name
}

// closeCodeOf returns the close code with which a connection has ended.
func closeCodeOf(err error) websock.CloseCode {
	var closed *websock.CloseError
	var protocol *websock.ProtocolError
	var limit *websock.LimitError
	switch {
	case errors.As(err, &closed):
		return closed.Code
	case errors.As(err, &protocol):
		return protocol.Code
	case errors.As(err, &limit):
		return limit.Code
	}
	return websock.CloseAbnormal
}

// Permanent reports whether another attempt would fail in the same way: the server, or a proxy,
// answered with status 401, 403, 404, 407 or 410; the server's certificate is not trusted, or ours is
// refused; TLS is not safe enough for its HTTP/2 (INADEQUATE_SECURITY, RFC 9113 section 9.2); or the
// Target can't be used at all. It returns false for everything else, such as a host that refuses
// connections, answers with status 500, resets a stream of HTTP/2 or ends the connection (GOAWAY), and
// a Mux without a free stream. It is the default of Options.Permanent.
//
// Status 401 and 403 are permanent since an attempt with the same credentials gets the same answer.
// If that isn't so, because Options.Prepare fetches fresh credentials or the server answers like
// that when it is overloaded, set Options.Permanent; the error has the answer:
//
//	Permanent: func(err error) bool {
//		var refused *websock.HandshakeError
//		if errors.As(err, &refused) && refused.Status == http.StatusForbidden {
//			return refused.Header.Get("X-Banned") != ""
//		}
//		return fanout.Permanent(err)
//	},
func Permanent(err error) bool {
	var failed *websock.HandshakeError
	if errors.As(err, &failed) && permanentStatus(failed.Status) {
		return true
	}
	return errors.As(err, new(*tls.CertificateVerificationError)) || certificateRefused(err) || requiresSafety(err) ||
		errors.As(err, new(*targetError)) || errors.Is(err, transport.ErrUnsupported)
}

// requiresSafety reports whether the server wants other versions or parameters of TLS for HTTP/2.
func requiresSafety(err error) bool {
	var stream *websock.StreamError
	var session *websock.SessionError
	return errors.As(err, &stream) && stream.Remote && stream.Code == http2.ErrCodeInadequateSecurity ||
		errors.As(err, &session) && session.Remote && session.Code == http2.ErrCodeInadequateSecurity
}

func permanentStatus(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusProxyAuthRequired, http.StatusGone:
		return true
	}
	return false
}

// certificateRefused reports whether the peer refuses our certificate, or requires one and got none
// (RFC 8446 section 6.2). Before TLS 1.3 there is no alert for a missing certificate: servers send
// handshake_failure, which is also permanent for any other reason.
func certificateRefused(err error) bool {
	const (
		handshakeFailure    = 40
		badCertificate      = 42
		certificateUnknown  = 46
		unknownCA           = 48
		accessDenied        = 49
		certificateRequired = 116
	)
	alert, ok := alertOf(err)
	switch alert {
	case handshakeFailure, unknownCA, accessDenied, certificateRequired:
		return ok
	}
	return ok && alert >= badCertificate && alert <= certificateUnknown
}

// A targetError says why a Target can't be dialed, or not with its transport.
type targetError struct{ err error }

func (e *targetError) Error() string { return "fanout: the target can't be used: " + e.err.Error() }
func (e *targetError) Unwrap() error { return e.err }
