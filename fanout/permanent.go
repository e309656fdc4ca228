package fanout

import (
	"crypto/tls"
	"errors"
	"net/http"

	"github.com/seed004e8d11/websock"
)

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
