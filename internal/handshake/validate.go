package handshake

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/endpoint"
)

// A negotiated holds what a server agrees to.
type negotiated struct {
	subprotocol string
	compression engine.Compression
	extensions  string // Sec-WebSocket-Extensions of the response
}

// validateRequest checks a request by the rules of the RFC and of the application, and chooses
// from what it offers (RFC 6455 section 4.2).
func validateRequest(r *http.Request, o *ServerOptions) (negotiated, *HandshakeError) {
	if err := o.check(r.ProtoMajor); err != nil {
		return negotiated{}, &HandshakeError{Reason: "the server's options are wrong", Status: http.StatusInternalServerError, Err: err}
	}
	if refusal := checkProtocol(r); refusal != nil {
		return negotiated{}, refusal
	}
	agreed, err := negotiate(r, o)
	switch {
	case err != nil:
		return negotiated{}, &HandshakeError{Reason: err.Error(), Status: http.StatusBadRequest}
	case !o.originAllowed(r):
		return negotiated{}, &HandshakeError{Reason: "pages of this origin may not connect", Status: http.StatusForbidden}
	case o.CheckRequest != nil:
		if err := o.CheckRequest(r); err != nil {
			return negotiated{}, refusalOf(err)
		}
	}
	return agreed, nil
}

// negotiate chooses from what a request offers. An error says what is malformed.
func negotiate(r *http.Request, o *ServerOptions) (agreed negotiated, err error) {
	offers, err := parseSubprotocols(r.Header[headerProtocol])
	if err != nil {
		return negotiated{}, err
	}
	agreed.subprotocol = selectSubprotocol(o.Subprotocols, offers)
	agreed.compression, agreed.extensions, err = acceptOffer(o.Compression, r.Header[headerExtensions])
	return agreed, err
}

// check rejects options that are wrong for a request of this version of HTTP.
func (o *ServerOptions) check(protoMajor int) error {
	if o.Scheme != "" && o.Scheme != "http" && o.Scheme != "https" {
		return failure("scheme %q is neither http nor https", o.Scheme)
	}
	if err := checkSubprotocols(o.Subprotocols); err != nil {
		return err
	}
	if err := checkCompression(o.Compression); err != nil {
		return err
	}
	if protoMajor >= 2 {
		return checkStreamHeader(o.Header)
	}
	return checkHeader(o.Header)
}

// checkProtocol checks a request by the rules of its version of HTTP.
func checkProtocol(r *http.Request) *HandshakeError {
	switch {
	case r.ProtoMajor == 1 && r.ProtoMinor > 0:
		return checkUpgradeRequest(r)
	case r.ProtoMajor == 2, r.ProtoMajor == 3:
		return checkConnectRequest(r)
	}
	return refuseWith(http.StatusHTTPVersionNotSupported, "the request is not one of HTTP/1.1, HTTP/2 or HTTP/3")
}

// checkUpgradeRequest checks a request by the rules of RFC 6455 section 4.2.1.
func checkUpgradeRequest(r *http.Request) *HandshakeError {
	switch {
	case r.Method != http.MethodGet:
		return refuseWith(http.StatusMethodNotAllowed, "the request is not a GET", "Allow", http.MethodGet)
	case !validHost(r):
		return refuseWith(http.StatusBadRequest, "the request's Host is missing or malformed")
	case r.ContentLength != 0:
		return refuseWith(http.StatusBadRequest, "the request has a body") // its bytes would be taken for frames
	case !hasToken(r.Header, headerUpgrade, "websocket"):
		return upgradeRequired("the request's Upgrade is missing or doesn't have websocket")
	case !hasToken(r.Header, headerConnection, "upgrade"):
		return upgradeRequired("the request's Connection is missing or doesn't have Upgrade")
	case !validVersion(r):
		return upgradeRequired("the request's Sec-WebSocket-Version is not 13")
	case !validKey(r.Header[headerKey]):
		return refuseWith(http.StatusBadRequest, "the request's Sec-WebSocket-Key is not one value of 16 bytes in base64")
	}
	return nil
}

// checkConnectRequest checks a request by the rules of RFC 8441 sections 4 and 5, which RFC 9220 has HTTP/3
// follow. A key is not looked
// at: what it is for in HTTP/1.1, the :protocol is for here. The ContentLength of a stream that the
// client hasn't ended is -1.
func checkConnectRequest(r *http.Request) *HandshakeError {
	forbidden := forbiddenHeader(r.Header)
	switch {
	case r.Method != http.MethodConnect:
		return refuseWith(http.StatusMethodNotAllowed, "the request is not a CONNECT", "Allow", http.MethodConnect)
	case !slices.Equal(r.Header[pseudoProtocol], []string{protocolWebSocket}):
		return refuseWith(http.StatusNotImplemented, "the request's :protocol is missing or not websocket")
	case !strings.HasPrefix(r.RequestURI, "/"):
		return refuseWith(http.StatusBadRequest, "the request's :path doesn't begin with a slash")
	case !validHost(r):
		return refuseWith(http.StatusBadRequest, "the request's :authority is missing or malformed")
	case forbidden != "":
		return refuseWith(http.StatusBadRequest, "the request has the header "+forbidden+", which HTTP/2 and HTTP/3 forbid")
	case r.ContentLength >= 0:
		return refuseWith(http.StatusBadRequest, "the request's stream has an end, or a length")
	case !validVersion(r):
		return refuseWith(http.StatusBadRequest, "the request's Sec-WebSocket-Version is not 13", headerVersion, "13")
	}
	return nil
}

func validHost(r *http.Request) bool { return r.Host != "" && httpguts.ValidHostHeader(r.Host) }

func validVersion(r *http.Request) bool {
	return slices.Equal(r.Header[headerVersion], []string{"13"})
}

// upgradeRequired returns the refusal that names the protocol and version of this server (RFC
// 6455 section 4.4, RFC 9110 section 15.5.22).
func upgradeRequired(reason string) *HandshakeError {
	return refuseWith(http.StatusUpgradeRequired, reason,
		headerConnection, "Upgrade", headerUpgrade, "websocket", headerVersion, "13")
}

func validKey(values []string) bool {
	if len(values) != 1 {
		return false
	}
	nonce, err := base64.StdEncoding.DecodeString(values[0])
	return err == nil && len(nonce) == 16
}

// parseSubprotocols returns the subprotocols that a client offers. Repetitions are harmless.
func parseSubprotocols(values []string) ([]string, error) {
	var offers []string
	for _, value := range values {
		for p := range strings.SplitSeq(value, ",") {
			p = strings.Trim(p, " \t")
			switch {
			case p == "": // a list may have empty elements
			case !httpguts.ValidHeaderFieldName(p):
				return nil, fmt.Errorf("the request's subprotocol %.100q is not a token", p)
			default:
				offers = append(offers, p)
			}
		}
	}
	return offers, nil
}

// selectSubprotocol returns the first of the supported subprotocols that is offered.
func selectSubprotocol(supported, offers []string) string {
	for _, p := range supported {
		if slices.Contains(offers, p) {
			return p
		}
	}
	return ""
}

// originAllowed decides about the Origin of a request (RFC 6455 section 10.2).
func (o *ServerOptions) originAllowed(r *http.Request) bool {
	if o.CheckOrigin != nil {
		return o.CheckOrigin(r)
	}
	origins := r.Header["Origin"]
	switch len(origins) {
	case 0:
		return true
	case 1:
		return sameOrigin(origins[0], r.Host, o.scheme(r))
	}
	return false
}

// scheme returns the scheme of the URLs at which browsers reach the server, or "" if it is
// unknown: TLS may end at a proxy in front of the server.
func (o *ServerOptions) scheme(r *http.Request) string {
	if o.Scheme == "" && r.TLS != nil {
		return "https"
	}
	return o.Scheme
}

// sameOrigin reports whether an Origin is that of the pages of host, which may have a port (RFC
// 6454 section 5). If scheme is "", the scheme is that of the origin.
func sameOrigin(origin, host, scheme string) bool {
	u, err := url.Parse(origin)
	if err != nil {
		return false
	}
	page, err := endpoint.FromURL(&url.URL{Scheme: u.Scheme, Host: u.Host})
	if err != nil {
		return false
	}
	if scheme == "" {
		scheme = u.Scheme
	}
	own, err := endpoint.FromURL(&url.URL{Scheme: scheme, Host: host})
	return err == nil && page.Network == "tcp" && page.SameOrigin(&own)
}
