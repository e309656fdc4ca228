package handshake

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/http/httpguts"
)

// A Request is what a client asks for (RFC 6455 section 4.1). It is only read, so
// that one Request can serve many handshakes at once.
type Request struct {
	Host         string             // the Host header; see HostHeader
	Target       string             // path and query; "" means "/"
	Header       http.Header        // beyond the implicit ones: Host, Upgrade, Connection, Sec-WebSocket-*
	Subprotocols []string           // offered, in order of preference
	Compression  engine.Compression // offered; zero: none
	MaxSize      int                // of the answer's status line and header, bytes; as engine.Limits.HandshakeSize
}

// Check refuses what must not be sent, before anything is dialled: a header that
// is set implicitly, or that could be read as more than one; a bad target, host or
// subprotocol. The error is a *HandshakeError that names it.
func (r *Request) Check() error {
	if r.Host == "" || !httpguts.ValidHostHeader(r.Host) {
		return refuse("host %q can't be sent", r.Host)
	}
	if _, err := r.url(); err != nil {
		return &HandshakeError{Reason: fmt.Sprintf("request target %q can't be sent", r.Target), Err: err}
	}
	if err := checkSubprotocols(r.Subprotocols); err != nil {
		return err
	}
	if err := checkCompression(r.Compression); err != nil {
		return err
	}
	return checkHeader(r.Header)
}

var errTarget = errors.New("not a path of printable ASCII characters without #")

// url returns the request's target as the URL that gobwas/ws wants.
func (r *Request) url() (*url.URL, error) {
	if r.Target == "" {
		return &url.URL{Path: "/"}, nil
	}
	if r.Target[0] != '/' || strings.ContainsFunc(r.Target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return nil, errTarget
	}
	return url.ParseRequestURI(r.Target)
}

// checkSubprotocols demands tokens, each once (RFC 6455 section 4.1).
func checkSubprotocols(names []string) error {
	for i, p := range names {
		if !httpguts.ValidHeaderFieldName(p) { // names of headers are tokens too
			return refuse("subprotocol %q is not a token", p)
		}
		if slices.Contains(names[:i], p) {
			return refuse("subprotocol %q stands twice", p)
		}
	}
	return nil
}

// maxSize gives a bound the meaning of engine.Limits.HandshakeSize.
func maxSize(n int) int { return engine.Limits{HandshakeSize: n}.WithDefaults().HandshakeSize }
