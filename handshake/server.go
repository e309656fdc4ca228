package handshake

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gobwas/ws"
	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/http/httpguts"
)

// ServerOptions says what a server agrees to. It is only read.
type ServerOptions struct {
	Subprotocols []string                   // spoken, in order of preference
	Header       http.Header                // of the answer, beyond the implicit ones
	CheckOrigin  func(r *http.Request) bool // nil: no Origin, or one with the request's host
}

// Accept performs the opening handshake in the server role inside a net/http
// handler (RFC 6455 section 4.2) and takes the connection over. On an error, which
// is an *engine.HandshakeError with the status of the answer, the request has been
// answered.
func Accept(w http.ResponseWriter, r *http.Request, o *ServerOptions) (net.Conn, *Result, error) {
	if err := checkRequest(r, o); err != nil {
		return nil, nil, decline(w, err)
	}
	chosen := choose(o.Subprotocols, r.Header["Sec-Websocket-Protocol"])
	upgrader := ws.HTTPUpgrader{
		Header:   o.Header,
		Protocol: func(p string) bool { return p == chosen },
	}
	conn, rw, agreed, err := upgrader.Upgrade(canonicalRequest(r), w)
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		return nil, nil, &engine.HandshakeError{Reason: "the connection can't be taken over", Status: http.StatusInternalServerError, Err: err}
	}
	early := make([]byte, rw.Reader.Buffered())
	rw.Reader.Read(early) // buffered: it can't fail
	if len(early) == 0 {
		early = nil
	}
	return conn, &Result{Subprotocol: agreed.Protocol, RawHeader: rawHeader(r.Header), Early: early}, nil
}

// checkRequest demands of a request what the RFC does, and the application.
func checkRequest(r *http.Request, o *ServerOptions) *engine.HandshakeError {
	refusal := func(status int, reason string) *engine.HandshakeError {
		return &engine.HandshakeError{Status: status, Reason: reason}
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-Websocket-Key"))
	switch {
	case checkHeader(o.Header) != nil:
		return &engine.HandshakeError{Status: http.StatusInternalServerError, Reason: "header of the answer", Err: checkHeader(o.Header)}
	case r.ProtoMajor != 1 || r.ProtoMinor < 1:
		return refusal(http.StatusHTTPVersionNotSupported, "the request is not HTTP/1.1")
	case r.Method != http.MethodGet:
		return refusal(http.StatusMethodNotAllowed, "the request is not a GET")
	case !httpguts.HeaderValuesContainsToken(r.Header["Connection"], "upgrade"),
		!httpguts.HeaderValuesContainsToken(r.Header["Upgrade"], "websocket"):
		return refusal(http.StatusUpgradeRequired, "the request doesn't ask for an upgrade to websocket")
	case r.Header.Get("Sec-Websocket-Version") != "13":
		return refusal(http.StatusUpgradeRequired, "the version of the request is not 13")
	case len(r.Header["Sec-Websocket-Key"]) != 1 || err != nil || len(key) != 16:
		return refusal(http.StatusBadRequest, "the request's Sec-WebSocket-Key is not one value of 16 bytes")
	case !originAllowed(r, o.CheckOrigin):
		return refusal(http.StatusForbidden, "a page of this origin may not connect")
	}
	return nil
}

// originAllowed decides about the Origin of a request (RFC 6455 section 10.2).
func originAllowed(r *http.Request, check func(*http.Request) bool) bool {
	if check != nil {
		return check(r)
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host)
}

// decline answers a request that was refused.
func decline(w http.ResponseWriter, refusal *engine.HandshakeError) error {
	h := w.Header()
	switch refusal.Status {
	case http.StatusUpgradeRequired:
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
		h.Set("Sec-Websocket-Version", "13")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	}
	http.Error(w, refusal.Reason, refusal.Status)
	return refusal
}

// choose returns the first subprotocol spoken that was offered.
func choose(spoken, offers []string) string {
	for _, p := range spoken {
		for _, offer := range offers {
			if slices.ContainsFunc(strings.Split(offer, ","), func(o string) bool { return strings.TrimSpace(o) == p }) {
				return p
			}
		}
	}
	return ""
}

// canonicalRequest returns the request as gobwas/ws wants it, which looks at the
// first line of each header only.
func canonicalRequest(r *http.Request) *http.Request {
	canonical := *r
	canonical.Header = r.Header.Clone()
	canonical.Header.Set("Connection", "Upgrade")
	canonical.Header.Set("Upgrade", "websocket")
	return &canonical
}

// rawHeader returns the lines of a header.
func rawHeader(h http.Header) []byte {
	var lines strings.Builder
	h.Write(&lines) // a Builder can't fail
	return []byte(lines.String())
}
