package handshake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Headers that decide about a handshake, as net/http spells them.
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

// checkHeader refuses a header of the caller's that must not be sent, in either
// role: one that the handshake sets itself, one that announces a body, and bytes
// that could make more than one header of it.
func checkHeader(h http.Header) error {
	for name, values := range h {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return refuse("header name %q can't be sent", name)
		case slices.Contains(implicit, canonical), strings.HasPrefix(canonical, implicitPrefix):
			return refuse("header %s is set implicitly", name)
		case slices.Contains(framing, canonical):
			return refuse("header %s announces a body, which a handshake doesn't have", name)
		case slices.ContainsFunc(values, func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) }):
			return refuse("value of header %s can't be sent", name)
		}
	}
	return nil
}

// checkNames refuses names that net/http lets pass: those with a space in them,
// such as "Upgrade :", which other parsers take for "Upgrade:" (RFC 9112 section
// 5.1). The values it has checked.
func checkNames(h http.Header) error {
	for name := range h {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("header name %.100q", name)
		}
	}
	return nil
}

// hasToken reports whether a header has the token among its values (RFC 6455
// section 4.1 and 4.2.1: compared without regard to ASCII case).
func hasToken(h http.Header, name, token string) bool {
	return httpguts.HeaderValuesContainsToken(h[name], token)
}

func refuse(format string, args ...any) *HandshakeError {
	return &HandshakeError{Reason: fmt.Sprintf(format, args...)}
}
