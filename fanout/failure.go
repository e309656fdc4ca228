package fanout

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"

	"github.com/seed004e8d11/websock/engine"
)

// A Failure is a kind of reason for which an attempt fails.
type Failure string

// The kinds of failures, in the order in which they are looked for.
const (
	FailedShutdown Failure = "shutdown" // Shutdown interrupted it
	FailedTimeout  Failure = "timeout"  // it took too long
	FailedResolve  Failure = "resolve"  // the host name was not found
	FailedTLS      Failure = "tls"      // the TLS handshake failed
	FailedProxy    Failure = "proxy"    // a proxy can't be reached, or declines
	FailedStatus   Failure = "status"   // the server answered with another status
	FailedConnect  Failure = "connect"  // nobody there, or no way
	FailedProtocol Failure = "protocol" // the answer was no proper opening handshake
	FailedSetUp    Failure = "setup"    // Prepare or OnConnect returned an error
)

// FailureOf returns the kind of an attempt's failure.
func FailureOf(err error) Failure {
	var handshake *engine.HandshakeError
	var op *net.OpError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed):
		return FailedShutdown
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return FailedTimeout
	case errors.As(err, new(*net.DNSError)):
		return FailedResolve
	case errors.As(err, new(*tls.CertificateVerificationError)), errors.As(err, new(tls.AlertError)), errors.As(err, new(tls.RecordHeaderError)):
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

// codeOf returns the close code with which a connection was lost.
func codeOf(err error) engine.CloseCode {
	var closed *engine.CloseError
	var protocol *engine.ProtocolError
	var limit *engine.LimitError
	switch {
	case errors.As(err, &closed):
		return closed.Code
	case errors.As(err, &protocol):
		return protocol.Code
	case errors.As(err, &limit):
		return limit.Code
	}
	return engine.CloseAbnormal
}
