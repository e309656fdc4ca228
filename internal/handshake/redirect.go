package handshake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock/internal/endpoint"
)

// RedirectTarget returns the endpoint that a refusal redirects to: that of the URL in its Location
// header, which may be relative to the URL of from. RedirectTarget returns nil if the status is
// none of 301, 302, 303, 307 and 308. It returns an error if the redirect can't be followed: no
// URL, another scheme, no host, a user name, or a scheme without TLS after one with TLS. The error
// is a *HandshakeError with the response of the refusal.
//
// Only redirects of the server may be followed, never those of a proxy.
func RedirectTarget(from *endpoint.Endpoint, refusal *HandshakeError) (*endpoint.Endpoint, error) {
	if !isRedirect(refusal.Status) {
		return nil, nil
	}
	location := refusal.Header.Get("Location")
	next, err := from.Redirect(location)
	if err != nil {
		failed := *refusal
		failed.Reason, failed.Err = fmt.Sprintf("redirect to %.200q can't be followed", location), err
		return nil, &failed
	}
	return &next, nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// credentials are the headers that must not reach another origin.
var credentials = []string{"Authorization", "Cookie", "Cookie2", "Proxy-Authorization", "Www-Authenticate"}

// StripCredentials returns a copy of h without the headers that are meant for one origin only, such
// as Authorization and Cookie.
func StripCredentials(h http.Header) http.Header {
	stripped := h.Clone()
	for name := range h {
		if isCredential(name) {
			delete(stripped, name)
		}
	}
	return stripped
}

func isCredential(name string) bool {
	return slices.ContainsFunc(credentials, func(c string) bool { return strings.EqualFold(name, c) })
}
