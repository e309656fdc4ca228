package fanout

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
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
