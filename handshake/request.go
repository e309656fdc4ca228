package handshake

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/http/httpguts"
)

// A Request is what a client asks for (RFC 6455 section 4.1). It is only read.
type Request struct {
	Host         string      // the Host header; see HostHeader
	Target       string      // path and query; "" means "/"
	Header       http.Header // beyond the implicit ones
	Subprotocols []string    // offered, in order of preference
	MaxSize      int         // of the answer's status line and header, bytes; 0: engine.DefaultHandshakeSize
}

// Check refuses what must not be sent, before anything is dialled: a header that
// is set implicitly, or that could be read as more than one; a bad target, host or
// subprotocol. The error is an *engine.HandshakeError that names it.
func (r *Request) Check() error {
	if r.Host == "" || !httpguts.ValidHostHeader(r.Host) || strings.ContainsAny(r.Host, " /?#@\\") {
		return refuse("host %q can't be sent", r.Host)
	}
	if _, err := r.url(); err != nil {
		return &engine.HandshakeError{Reason: fmt.Sprintf("request target %q can't be sent", r.Target), Err: err}
	}
	if err := checkHeader(r.Header); err != nil {
		return err
	}
	for i, p := range r.Subprotocols {
		if !httpguts.ValidHeaderFieldName(p) {
			return refuse("subprotocol %q is not a token", p)
		}
		if slices.Contains(r.Subprotocols[:i], p) {
			return refuse("subprotocol %q is offered twice", p)
		}
	}
	return nil
}

// url returns the request's target as the URL that gobwas/ws wants.
func (r *Request) url() (*url.URL, error) {
	target := r.Target
	if target == "" {
		target = "/"
	}
	if target[0] != '/' || strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return nil, fmt.Errorf("not a path of printable ASCII characters without #")
	}
	return url.ParseRequestURI(target)
}

// implicit lists the headers that the handshake sets itself, in either role.
var implicit = []string{"Host", "Upgrade", "Connection", "Content-Length", "Transfer-Encoding"}

const implicitPrefix = "Sec-Websocket-"

func checkHeader(h http.Header) error {
	for name, values := range h {
		canonical := http.CanonicalHeaderKey(name)
		if slices.Contains(implicit, canonical) || strings.HasPrefix(canonical, implicitPrefix) {
			return refuse("header %s is set implicitly", name)
		}
		if !httpguts.ValidHeaderFieldName(name) {
			return refuse("header name %q can't be sent", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return refuse("value of header %s can't be sent", name)
			}
		}
	}
	return nil
}

func refuse(format string, args ...any) error {
	return &engine.HandshakeError{Reason: fmt.Sprintf(format, args...)}
}
