package handshake

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/ws"
	"github.com/seed004e8d11/websock/engine"
)

// ServerOptions says what a server agrees to. nil is as good as its zero value. It
// is only read, so that it can serve many handshakes at once.
type ServerOptions struct {
	// Subprotocols spoken, in order of preference. The first that the client
	// offers is agreed; if it offers none of them, none (RFC 6455 section 4.2.2).
	Subprotocols []string

	// Compression is what is agreed, as far as the client's offers allow. Zero: none.
	Compression engine.Compression

	// Header is sent with the answer that agrees, beyond Upgrade, Connection and
	// Sec-WebSocket-*.
	Header http.Header

	// CheckOrigin decides about requests that a browser sends from a page of
	// another site; to decline is to answer 403 (RFC 6455 section 10.2). nil: no
	// Origin, or one with the request's host and port, default ports taken into
	// account, and the scheme that the server has.
	CheckOrigin func(r *http.Request) bool

	// Scheme is that of the pages of the same origin: "https" or "http". "": https if the
	// request came over TLS, and else either, since a proxy may do TLS.
	Scheme string

	// CheckRequest decides last, about a proper request: its target, its host,
	// its header. An error declines it. If that is a *HandshakeError with
	// a status of 300 to 599, its Status, Header and Body are the answer, and
	// its Reason where there is no Body; else the answer is 403. nil: every
	// request is welcome.
	CheckRequest func(r *http.Request) error

	// MaxSize bounds the request line and the headers that ServerConn receives,
	// in bytes; as engine.Limits.HandshakeSize. In Accept the http.Server does.
	MaxSize int
}

// answerWait bounds how long Accept tries to send its answer.
const answerWait = 10 * time.Second

// Accept performs the opening handshake in the server role inside a net/http
// handler (RFC 6455 section 4.2) and takes the connection over, without a deadline
// left on it. o may be nil.
//
// The error is a *HandshakeError. With a status, that is what the request
// has been answered with: 400 for a malformed request, 403 for an origin, 405 for a
// method other than GET, 426 for one that doesn't ask for version 13 of WebSocket,
// 505 for HTTP/2 and HTTP/1.0, 500 if w can't be hijacked. Without, the connection
// was lost.
func Accept(w http.ResponseWriter, r *http.Request, o *ServerOptions) (net.Conn, *Result, error) {
	if o == nil {
		o = &ServerOptions{}
	}
	chosen, refusal := judge(r, o)
	if refusal != nil {
		return nil, nil, decline(w, refusal)
	}
	upgrader := ws.HTTPUpgrader{
		Header:   withExtensions(o.Header, chosen.extensions),
		Protocol: ws.SelectEqual(chosen.subprotocol),
		Timeout:  answerWait,
	}
	conn, rw, agreed, err := upgrader.Upgrade(canonicalRequest(r, chosen.subprotocol), w)
	switch {
	case conn == nil: // gobwas/ws has answered
		return nil, nil, &HandshakeError{Reason: "the connection can't be taken over", Status: http.StatusInternalServerError, Err: err}
	case err != nil:
		conn.Close()
		return nil, nil, &HandshakeError{Reason: "the answer can't be sent", Err: err}
	}
	result := &Result{Subprotocol: agreed.Protocol, Compression: chosen.compression, RawHeader: headerLines(r)}
	if n := rw.Reader.Buffered(); n > 0 {
		result.Early = make([]byte, n)
		io.ReadFull(rw.Reader, result.Early) // buffered: it can't fail
	}
	return conn, result, nil
}

// headerLines makes the lines of a request's header, with the Host that net/http
// keeps elsewhere.
func headerLines(r *http.Request) []byte {
	var lines bytes.Buffer
	fmt.Fprintf(&lines, "Host: %s\r\n", r.Host)
	r.Header.Write(&lines)
	return bytes.Clone(lines.Bytes())
}
