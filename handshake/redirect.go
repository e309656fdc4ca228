package handshake

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed004e8d11/websock/engine"
)

// RedirectTarget returns where a refusal sends the client: the URL in its Location
// header, http and https taken for ws and wss, relative to the URL that was asked.
// It returns nil if the status is none of 301, 302, 303, 307 and 308. An error says
// that the target can't be followed: no URL, another scheme, no host, or a scheme
// without TLS after one with. It is an *engine.HandshakeError with the answer of the
// refusal.
func RedirectTarget(from *url.URL, refusal *engine.HandshakeError) (*url.URL, error) {
	if !isRedirect(refusal.Status) {
		return nil, nil
	}
	location := refusal.Header.Get("Location")
	to, err := from.Parse(location)
	if err != nil || location == "" {
		return nil, notFollowed(refusal, err, "redirect to %q can't be followed", location)
	}
	switch to.Scheme {
	case "http":
		to.Scheme = "ws"
	case "https":
		to.Scheme = "wss"
	}
	to.Fragment, to.RawFragment = "", ""
	switch {
	case to.Scheme != "ws" && to.Scheme != "wss", to.Hostname() == "":
		return nil, notFollowed(refusal, nil, "redirect to %q can't be followed", location)
	case from.Scheme == "wss" && to.Scheme == "ws":
		return nil, notFollowed(refusal, nil, "redirect from wss to ws is not followed")
	}
	return to, nil
}

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func notFollowed(refusal *engine.HandshakeError, cause error, format string, args ...any) error {
	failed := *refusal
	failed.Reason, failed.Err = fmt.Sprintf(format, args...), cause
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
