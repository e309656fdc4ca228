package handshake

import (
	"net/http"
	"slices"
)

// WebSocket over HTTP/2 begins with an extended CONNECT (RFC 8441 section 4): a request with the
// method CONNECT and the pseudo-header field :protocol. net/http, and our own server, give a handler
// the value of that field as a header of this name.
const (
	pseudoProtocol    = ":protocol"
	protocolWebSocket = "websocket"
)

// connectionSpecific are headers that a message of HTTP/2 must not have (RFC 9113 section 8.2.2).
var connectionSpecific = []string{headerConnection, "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", headerUpgrade}

// forbiddenHeader returns the name of a header that a message of HTTP/2 must not have, or "" if
// there is none. TE may say that trailers are accepted, and nothing else.
func forbiddenHeader(h http.Header) string {
	for name, values := range h {
		switch canonical := http.CanonicalHeaderKey(name); {
		case slices.Contains(connectionSpecific, canonical):
			return canonical
		case canonical == "Te" && slices.ContainsFunc(values, func(v string) bool { return v != "" && v != "trailers" }):
			return "TE"
		}
	}
	return ""
}

// checkStreamHeader is checkHeader for a header that is sent over HTTP/2.
func checkStreamHeader(h http.Header) error {
	if err := checkHeader(h); err != nil {
		return err
	}
	if name := forbiddenHeader(h); name != "" {
		return failure("header %s can't be sent over HTTP/2", name)
	}
	return nil
}
