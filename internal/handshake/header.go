package handshake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// The headers of a handshake, as net/http spells them.
const (
	headerUpgrade    = "Upgrade"
	headerConnection = "Connection"
	headerKey        = "Sec-Websocket-Key"
	headerAccept     = "Sec-Websocket-Accept"
	headerVersion    = "Sec-Websocket-Version"
	headerProtocol   = "Sec-Websocket-Protocol"
	headerExtensions = "Sec-Websocket-Extensions"

	headerProxyAuthorization = "Proxy-Authorization"
)

var (
	implicit       = []string{"Host", headerUpgrade, headerConnection}
	implicitPrefix = "Sec-Websocket-"
	framing        = []string{"Content-Length", "Transfer-Encoding"}
)

// checkHeader rejects a header of the caller that must not be sent, in either role: one that the
// handshake sets itself, one that announces a body, and one with bytes that could be read as the
// end of the header.
func checkHeader(h http.Header) error {
	for name, values := range h {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return failure("header name %q can't be sent", name)
		case slices.Contains(implicit, canonical), strings.HasPrefix(canonical, implicitPrefix):
			return failure("header %s is set implicitly", name)
		case slices.Contains(framing, canonical):
			return failure("header %s announces a body, which a handshake doesn't have", name)
		case slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }):
			return failure("value of header %s can't be sent", name)
		}
	}
	return nil
}

// checkNames rejects names that net/http accepts: those with a space, such as "Upgrade :", which
// other parsers take for "Upgrade:" (RFC 9112 section 5.1). Values were checked by net/http.
func checkNames(h http.Header) error {
	for name := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("header name %.100q", name)
		}
	}
	return nil
}

// hasToken reports whether the lists of tokens in a header contain token. ASCII case is ignored
// (RFC 6455 sections 4.1 and 4.2.1).
func hasToken(h http.Header, name, token string) bool {
	return httpguts.HeaderValuesContainsToken(h[name], token)
}

// failure returns a HandshakeError with a formatted Reason.
func failure(format string, args ...any) *HandshakeError {
	return &HandshakeError{Reason: fmt.Sprintf(format, args...)}
}
