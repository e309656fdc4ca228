package fanout

import (
	"crypto/tls"
	"errors"
	"net/http"

	"github.com/seed004e8d11/websock/engine"
)

// Permanent reports whether an attempt that failed with err would fail the same way again:
// the server answered with status 401, 403, 404, 407 or 410, a certificate is not trusted,
// ours or theirs, or the Target can't be used at all. Everything else, such as a server that
// refuses connections or answers with status 500, may pass.
func Permanent(err error) bool {
	var failed *engine.HandshakeError
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
// (RFC 8446 section 6.2).
func certificateRefused(err error) bool {
	const (
		badCertificate      = 42
		certificateUnknown  = 46
		unknownCA           = 48
		accessDenied        = 49
		certificateRequired = 116
	)
	var alert tls.AlertError
	if !errors.As(err, &alert) {
		return false
	}
	return alert >= badCertificate && alert <= certificateUnknown || alert == unknownCA ||
		alert == accessDenied || alert == certificateRequired
}

// An unusable is why a Target of Choose or Prepare can't be dialled.
type unusable struct{ err error }

func (u *unusable) Error() string { return "fanout: the target can't be used: " + u.err.Error() }
func (u *unusable) Unwrap() error { return u.err }
