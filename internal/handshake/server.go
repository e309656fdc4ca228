package handshake

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/gobwas/pool/pbufio"
	"github.com/gobwas/ws"

	"github.com/seed004e8d11/websock/engine"
)

// ServerOptions says what a server agrees to. A nil pointer stands for the zero value. Accept and
// ServerConn only read it, so one ServerOptions can be used by many goroutines at once.
type ServerOptions struct {
	// Subprotocols supported, in order of preference. The server agrees to the first that the
	// client offers; if it offers none of them, to none (RFC 6455 section 4.2.2).
	Subprotocols []string

	// Compression that the server agrees to, as far as the client's offers allow. Zero: none.
	Compression engine.Compression

	// Header is sent with the response that agrees, in addition to Upgrade, Connection and
	// Sec-WebSocket-*. Over HTTP/2 it is sent with what middleware has set, and must not have what
	// HTTP/2 forbids, such as Keep-Alive.
	Header http.Header

	// CheckOrigin decides about requests that a browser sends from a page of another site. Those
	// it doesn't allow are answered with status 403 (RFC 6455 section 10.2). nil: allowed are
	// requests without Origin, and those whose Origin has the host and port of the request,
	// with default ports taken into account, and the scheme of the server.
	CheckOrigin func(r *http.Request) bool

	// Scheme is the scheme of pages of the same origin: "https" or "http". "": https if the
	// request came over TLS, and otherwise either, since TLS may end at a proxy.
	Scheme string

	// CheckRequest is called last, with a valid request, and decides about its target, host and
	// header. Over HTTP/2 the request has the method CONNECT and a Header[":protocol"]. An error
	// rejects the request. If the error is a *HandshakeError with a status of
	// 300 to 599, the response has its Status, Header and Body, or its Reason if there is no
	// Body. Otherwise the response has status 403. nil: every request is accepted.
	CheckRequest func(r *http.Request) error

	// MaxSize limits the request line and the header that ServerConn receives, in bytes. 0:
	// DefaultMaxSize, negative: no limit. In Accept http.Server sets the limit.
	MaxSize int
}

// writeSize holds most responses.
const writeSize = 512

// responseTimeout bounds how long Accept tries to send its response.
const responseTimeout = 10 * time.Second

// Accept performs the opening handshake in the server role inside an http.Handler, and takes over
// the connection of HTTP/1.1 (RFC 6455 section 4.2), or the stream of HTTP/2 (RFC 8441). Neither has
// a deadline. o may be nil.
//
// A stream of HTTP/2 remains net/http's, which ends it when the handler returns. So the handler must
// not return before the net.Conn is closed, and after that nothing may use it. It doesn't support
// deadlines. Our own server lets handlers take over streams: see AcceptStream.
//
// The error is a *HandshakeError. If it has a Status, Accept has sent a response with this status:
//
//	400  a malformed request; over HTTP/2 also one for another version than 13
//	403  an origin that is not allowed, or a request that CheckRequest declines
//	405  another method than GET, over HTTP/2 than CONNECT
//	426  over HTTP/1.1, a request for something else than version 13 of WebSocket
//	500  wrong options, or a connection or stream that w doesn't let a handler take over
//	501  over HTTP/2, a CONNECT without :protocol, or for another protocol than websocket
//	505  none of HTTP/1.1, HTTP/2 and HTTP/3
//
// Over HTTP/2 there is no 426, because it must name the protocol in an Upgrade header (RFC 9110
// section 15.5.22), which HTTP/2 doesn't have (RFC 9113 section 8.6). There, an ordinary request is
// one with the wrong method, and a response that declines another version has Sec-WebSocket-Version
// (RFC 6455 section 4.4). 501 is what RFC 9220 section 3 advises for HTTP/3; RFC 8441 says nothing.
// CheckRequest can also have other statuses sent. Without a Status, the connection was lost.
func Accept(w http.ResponseWriter, r *http.Request, o *ServerOptions) (net.Conn, *Result, error) {
	if o == nil {
		o = &ServerOptions{}
	}
	agreed, refusal := validateRequest(r, o)
	if refusal != nil {
		return nil, nil, decline(w, r, refusal)
	}
	switch r.ProtoMajor {
	case 3: // our own handlers take over its streams: see AcceptStream
		refusal := refuseWith(http.StatusInternalServerError, "the stream can't be taken over")
		refusal.Err = hiddenBy(innermost(w))
		return nil, nil, decline(w, r, refusal)
	case 2:
		conn, failed := takeBody(w, r, agreed, o)
		if failed != nil {
			return nil, nil, failed
		}
		return conn, requestResult(r, agreed), nil
	}
	conn, rw, err := respond(w, r, agreed, o.Header, responseTimeout)
	switch {
	case conn == nil: // gobwas/ws has sent a response
		return nil, nil, &HandshakeError{Reason: "the connection can't be taken over", Status: http.StatusInternalServerError, Err: err}
	case err != nil:
		conn.Close()
		return nil, nil, &HandshakeError{Reason: "the response can't be sent", Err: err}
	}
	result := requestResult(r, agreed)
	if n := rw.Reader.Buffered(); n > 0 {
		result.Early = make([]byte, n)
		io.ReadFull(rw.Reader, result.Early) // buffered: it can't fail
	}
	return conn, result, nil
}

// requestResult returns the Result of a request that net/http, or our own server, has parsed.
func requestResult(r *http.Request, agreed negotiated) *Result {
	return &Result{Subprotocol: agreed.subprotocol, Compression: agreed.compression, RawHeader: headerLines(r)}
}

// headerLines returns the lines of a request's header, with Host, which net/http keeps elsewhere, and
// without the pseudo-header fields of HTTP/2.
func headerLines(r *http.Request) []byte {
	var lines bytes.Buffer
	fmt.Fprintf(&lines, "Host: %s\r\n", r.Host)
	r.Header.Write(&lines)
	return bytes.Clone(lines.Bytes())
}

// respond takes the connection from w and sends the response that accepts r, which has been
// validated. header is sent with it. A timeout of 0 is none.
func respond(w http.ResponseWriter, r *http.Request, agreed negotiated, header http.Header, timeout time.Duration) (net.Conn, *bufio.ReadWriter, error) {
	upgrader := ws.HTTPUpgrader{
		Header:   withExtensions(header, agreed.extensions),
		Protocol: ws.SelectEqual(agreed.subprotocol),
		Timeout:  timeout,
	}
	conn, rw, _, err := upgrader.Upgrade(verifiableRequest(r, agreed.subprotocol), w)
	return conn, rw, err
}

// verifiableRequest returns a request that gobwas/ws accepts for one that has been validated.
// gobwas/ws looks at the first line of each header only, and rejects an Upgrade with other tokens.
func verifiableRequest(r *http.Request, subprotocol string) *http.Request {
	header := http.Header{
		headerUpgrade:    {"websocket"},
		headerConnection: {"Upgrade"},
		headerVersion:    {"13"},
		headerKey:        r.Header[headerKey],
	}
	if subprotocol != "" {
		header[headerProtocol] = []string{subprotocol}
	}
	return &http.Request{Method: r.Method, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, Host: r.Host, Header: header}
}

// ServerConn performs the opening handshake in the server role over conn, without an http.Server
// (RFC 6455 section 4.2). ctx bounds it, in place of a deadline that conn may have, and ends it
// at once. ServerConn never closes conn, with one exception: if conn doesn't support deadlines, it
// is closed when ctx ends. On success conn has no deadline. o may be nil.
//
// The caller may read the request, which has no body. Its TLS is that of conn if conn has a method
// ConnectionState, as a *tls.Conn has. The error is a *HandshakeError. If it has a Status,
// ServerConn has sent a response with this status: one of those of Accept, or 431 for a request
// above MaxSize. Without a Status, no complete request was received, or ctx has ended.
func ServerConn(ctx context.Context, conn net.Conn, o *ServerOptions) (*Result, *http.Request, error) {
	if o == nil {
		o = &ServerOptions{}
	}
	release := interrupt(ctx, conn)
	result, r, failed := serve(ctx, conn, o)
	if failed != nil {
		failed.Err = withCtxErr(ctx, failed.Err)
		release()
		return nil, nil, failed
	}
	if !release() {
		return nil, nil, &HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return result, r, nil
}

// serve is ServerConn without deadlines.
func serve(ctx context.Context, conn net.Conn, o *ServerOptions) (*Result, *http.Request, *HandshakeError) {
	m := &message{maxSize: sizeLimit(o.MaxSize)}
	defer m.recycle()
	r, refusal := receiveRequest(ctx, conn, m)
	if refusal != nil {
		return nil, nil, declineConn(conn, refusal)
	}
	agreed, refusal := validateRequest(r, o)
	if refusal != nil {
		return nil, nil, declineConn(conn, refusal)
	}
	buffered := pbufio.GetWriter(conn, writeSize)
	defer pbufio.PutWriter(buffered)
	if _, _, err := respond(connWriter{conn: conn, buffered: buffered}, r, agreed, o.Header, 0); err != nil {
		return nil, nil, &HandshakeError{Reason: "the response can't be sent", Err: err}
	}
	return newResult(m, agreed.subprotocol, agreed.compression), r, nil
}

// receiveRequest reads a request, and is as strict as http.Server. No response is sent to a
// refusal without a status: the client is gone, or hasn't sent a whole request.
func receiveRequest(ctx context.Context, conn net.Conn, m *message) (*http.Request, *HandshakeError) {
	if err := m.read(conn); err != nil {
		refusal := unreadable("the request", err)
		if errors.As(err, new(*engine.LimitError)) {
			refusal.Status = http.StatusRequestHeaderFieldsTooLarge
		}
		return nil, refusal
	}
	buffered := headReader(m.head())
	defer pbufio.PutReader(buffered) // of which the request keeps nothing: validateRequest rejects one with a body
	r, err := http.ReadRequest(buffered)
	if err == nil {
		err = checkNames(r.Header)
	}
	if err != nil {
		return nil, &HandshakeError{Reason: "the request is not proper HTTP", Status: http.StatusBadRequest, Err: err}
	}
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 { // 2 is that of the preface of HTTP/2
		return nil, refuseWith(http.StatusHTTPVersionNotSupported, "the request is not HTTP/1.1")
	}
	if secured, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secured.ConnectionState()
		r.TLS = &state
	}
	return r.WithContext(ctx), nil
}

// A connWriter is the http.ResponseWriter from which respond takes the connection of ServerConn.
// Only Hijack is called.
type connWriter struct {
	http.ResponseWriter // nil
	conn                net.Conn
	buffered            *bufio.Writer // to conn
}

func (w connWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return keptDeadlines{w.conn}, bufio.NewReadWriter(nil, w.buffered), nil
}

// keptDeadlines is a connection whose deadlines gobwas/ws can't change: they are those of the
// context of ServerConn.
type keptDeadlines struct{ net.Conn }

func (keptDeadlines) SetDeadline(time.Time) error { return nil }
