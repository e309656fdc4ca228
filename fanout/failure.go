package fanout

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"

	"github.com/seed004e8d11/websock"
)

// A Failure is a kind of reason for which an attempt fails.
type Failure string

// The kinds of failures, in the order in which they are looked for.
const (
	FailedShutdown Failure = "shutdown" // Shutdown interrupted it
	FailedTimeout  Failure = "timeout"  // it took too long
	FailedLocal    Failure = "local"    // our own limit of open files, or the system's, is reached
	FailedResolve  Failure = "resolve"  // the host name was not found
	FailedTLS      Failure = "tls"      // the TLS handshake failed
	FailedProxy    Failure = "proxy"    // a proxy can't be reached, or declines
	FailedStatus   Failure = "status"   // the server answered with another status
	FailedConnect  Failure = "connect"  // nobody there, or no way
	FailedProtocol Failure = "protocol" // the answer was no proper opening handshake
	FailedSetUp    Failure = "setup"    // Prepare or OnConnect returned an error

	// FailedLost is no failure of an attempt: a connection that was up was lost.
	FailedLost Failure = "lost"
)

// FailureOf returns the kind of an error that OnDown got, or of one that websock.Open,
// websock.Dial or a connection returned.
func FailureOf(err error) Failure {
	var handshake *websock.HandshakeError
	var op *net.OpError
	reason := ReasonOf(err)
	switch {
	case reason == ShutDown:
		return FailedShutdown
	case reason == ConnectionLost, reason == 0 && endsConnection(err):
		return FailedLost
	case reason == 0 && (errors.Is(err, context.Canceled) || errors.Is(err, ErrClosed)):
		return FailedShutdown
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return FailedTimeout
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return FailedLocal
	case errors.As(err, new(*net.DNSError)):
		return FailedResolve
	case aboutTLS(err):
		return FailedTLS
	case !errors.As(err, &handshake):
		return FailedSetUp
	case handshake.Proxy != "":
		return FailedProxy
	case handshake.Status != 0:
		return FailedStatus
	case errors.As(err, &op):
		return FailedConnect
	}
	return FailedProtocol
}

// endsConnection reports whether err is one that a connection ends with.
func endsConnection(err error) bool {
	switch {
	case errors.As(err, new(*websock.HandshakeError)):
		return false
	case errors.As(err, new(*websock.CloseError)), errors.As(err, new(*websock.ProtocolError)), errors.As(err, new(*websock.LimitError)), errors.As(err, new(*websock.HandlerError)):
		return true
	}
	return false
}

func aboutTLS(err error) bool {
	_, alerted := alertOf(err)
	return alerted || errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(tls.RecordHeaderError))
}

// alertOf returns the TLS alert with which a connection ended, ours or the peer's.
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
	return 0, true // an alert that has no name
}

// codeOf returns the close code with which a connection was lost.
func codeOf(err error) websock.CloseCode {
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

// A Reason says which of three events OnDown tells of.
type Reason uint8

// The reasons for which a slot is down.
const (
	AttemptFailed  Reason = iota + 1 // there was no connection: an attempt to open one failed
	ConnectionLost                   // there was one, and it has ended
	ShutDown                         // Shutdown has ended a connection or an attempt
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case AttemptFailed:
		return "attempt failed"
	case ConnectionLost:
		return "connection lost"
	case ShutDown:
		return "shut down"
	}
	return "invalid"
}

// A DownError is the error that OnDown, Permanent and Slot.Err get. errors.Is and errors.As
// find what websock.Open, Prepare, OnConnect or websock.Handler's OnClose have told.
type DownError struct {
	Reason Reason
	Err    error // never nil
}

func (e *DownError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *DownError) Unwrap() error { return e.Err }

// ReasonOf returns the Reason of an error that OnDown got, and 0 for any other.
func ReasonOf(err error) Reason {
	var down *DownError
	if errors.As(err, &down) {
		return down.Reason
	}
	return 0
}

// Permanent reports whether an attempt that failed with err would fail the same way again:
// the server answered with status 401, 403, 404, 407 or 410, a certificate is not trusted,
// ours or theirs, or the Target can't be used at all. Everything else, such as a server that
// refuses connections or answers with status 500, may pass.
//
// 401 and 403 stop a slot for good, since an attempt with the same credentials gets the same
// answer. Where they don't, since Options.Prepare fetches fresh ones or the server answers so
// while it is overloaded, set Options.Permanent; the answer is in the error:
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
	return errors.As(err, new(*tls.CertificateVerificationError)) || certificateRefused(err) || errors.As(err, new(*unusable))
}

func permanentStatus(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusProxyAuthRequired, http.StatusGone:
		return true
	}
	return false
}

// certificateRefused reports whether the peer doesn't want our certificate, or misses one
// (RFC 8446 section 6.2). Before TLS 1.3 there is no alert for a missing one: servers then send
// that they find nothing acceptable in what we offer, which stays so, whatever it is.
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

// An unusable is why a Target of Choose or Prepare can't be dialled.
type unusable struct{ err error }

func (u *unusable) Error() string { return "fanout: the target can't be used: " + u.err.Error() }
func (u *unusable) Unwrap() error { return u.err }
