package handshake

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed004e8d11/websock/internal/endpoint"
)

// RedirectTarget returns where a refusal sends the client: the URL in its Location
// header, http and https taken for ws and wss, relative to the URL that was asked. It is
// normalised as websock.Dial does it, and has no fragment. RedirectTarget returns nil if the
// status is none of 301, 302, 303, 307 and 308. An error says that the target can't be
// followed: no URL, another scheme, no host, a user name, or a scheme without TLS after one
// with. It is a *HandshakeError with the answer of the refusal.
//
// Only what the server has answered may be followed, never what a proxy has.
func RedirectTarget(from *url.URL, refusal *HandshakeError) (*url.URL, error) {
	if !isRedirect(refusal.Status) {
		return nil, nil
	}
	location := refusal.Header.Get("Location")
	at, err := endpoint.FromURL(from)
	if err != nil {
		return nil, notFollowed(refusal, location, err)
	}
	next, err := at.Redirect(location)
	if err != nil {
		return nil, notFollowed(refusal, location, err)
	}
	return next.URL(), nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func notFollowed(refusal *HandshakeError, location string, cause error) error {
	failed := *refusal
	failed.Reason, failed.Err = fmt.Sprintf("redirect to %.200q can't be followed", location), cause
	return &failed
}

// credentials are the headers that must not reach another origin.
var credentials = []string{"Authorization", "Cookie", "Cookie2", "Proxy-Authorization", "Www-Authenticate"}

// StripCredentials returns a copy of h without the headers that belong to one
// origin only: Authorization, Cookie and the like.
func StripCredentials(h http.Header) http.Header {
	stripped := h.Clone()
	for name := range h {
		for _, c := range credentials {
			if strings.EqualFold(name, c) {
				delete(stripped, name)
			}
		}
	}
	return stripped
}

// SameOrigin reports whether two URLs have the same scheme, host and port, default
// ports taken into account (RFC 6454 section 5).
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return fmt.Sprint(defaultPort(u.Scheme == "wss"))
}
