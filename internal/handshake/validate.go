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
	if err := o.check(); err != nil {
		return negotiated{}, &HandshakeError{Reason: "the server's options are wrong", Status: http.StatusInternalServerError, Err: err}
	}
	if refusal := checkUpgradeRequest(r); refusal != nil {
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

func (o *ServerOptions) check() error {
	if o.Scheme != "" && o.Scheme != "http" && o.Scheme != "https" {
		return failure("scheme %q is neither http nor https", o.Scheme)
	}
	if err := checkSubprotocols(o.Subprotocols); err != nil {
		return err
	}
	if err := checkCompression(o.Compression); err != nil {
		return err
	}
	return checkHeader(o.Header)
}

// checkUpgradeRequest checks a request by the rules of RFC 6455 section 4.2.1.
func checkUpgradeRequest(r *http.Request) *HandshakeError {
	switch {
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return refuseWith(http.StatusHTTPVersionNotSupported, "the request is not HTTP/1.1")
	case r.Method != http.MethodGet:
		return refuseWith(http.StatusMethodNotAllowed, "the request is not a GET", "Allow", http.MethodGet)
	case r.Host == "" || !httpguts.ValidHostHeader(r.Host):
		return refuseWith(http.StatusBadRequest, "the request's Host is missing or malformed")
	case r.ContentLength != 0:
		return refuseWith(http.StatusBadRequest, "the request has a body") // its bytes would be taken for frames
	case !hasToken(r.Header, headerUpgrade, "websocket"):
		return upgradeRequired("the request's Upgrade is missing or doesn't have websocket")
	case !hasToken(r.Header, headerConnection, "upgrade"):
		return upgradeRequired("the request's Connection is missing or doesn't have Upgrade")
	case !slices.Equal(r.Header[headerVersion], []string{"13"}):
		return upgradeRequired("the request's Sec-WebSocket-Version is not 13")
	case !validKey(r.Header[headerKey]):
		return refuseWith(http.StatusBadRequest, "the request's Sec-WebSocket-Key is not one value of 16 bytes in base64")
	}
	return nil
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
