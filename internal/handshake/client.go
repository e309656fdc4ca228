package handshake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gobwas/ws"

	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/http/httpguts"
)

// A Request is the opening handshake that a client sends (RFC 6455 section 4.1). Client only
// reads it, so one Request can be used by many goroutines at once.
type Request struct {
	Host         string             // the Host header
	Target       string             // path and query; "" means "/"
	Header       http.Header        // additional headers: not Host, Upgrade, Connection and Sec-WebSocket-*
	Subprotocols []string           // offered, in order of preference
	Compression  engine.Compression // offered; zero: none
	MaxSize      int                // of the response's status line and header in bytes; 0: DefaultMaxSize, negative: no limit
}

// Check rejects a request that must not be sent: a header that the handshake sets itself, a value
// that could be read as more than one header, and an invalid target, host or subprotocol. Call it
// before dialing. The error is a *HandshakeError that names the value.
func (r *Request) Check() error {
	_, err := r.check()
	return err
}

// check is Check, and returns the request's target as a URL, which gobwas/ws demands.
func (r *Request) check() (*url.URL, error) {
	if r.Host == "" || !httpguts.ValidHostHeader(r.Host) {
		return nil, failure("host %q can't be sent", r.Host)
	}
	u, err := parseTarget(r.Target)
	if err != nil {
		return nil, &HandshakeError{Reason: fmt.Sprintf("request target %q can't be sent", r.Target), Err: err}
	}
	if err := checkSubprotocols(r.Subprotocols); err != nil {
		return nil, err
	}
	if err := checkCompression(r.Compression); err != nil {
		return nil, err
	}
	return u, checkHeader(r.Header)
}

// rootTarget is the target that most requests have.
var rootTarget = &url.URL{Path: "/"}

var errTarget = errors.New("not a path of printable ASCII characters without #")

// parseTarget returns a request target as a URL.
func parseTarget(target string) (*url.URL, error) {
	if target == "" || target == "/" {
		return rootTarget, nil
	}
	if target[0] != '/' || strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return nil, errTarget
	}
	return url.ParseRequestURI(target)
}

// checkSubprotocols checks that all names are tokens and none is repeated (RFC 6455 section 4.1).
func checkSubprotocols(names []string) error {
	for i, p := range names {
		if !httpguts.ValidHeaderFieldName(p) { // names of headers are tokens too
			return failure("subprotocol %q is not a token", p)
		}
		if slices.Contains(names[:i], p) {
			return failure("subprotocol %q is repeated", p)
		}
	}
	return nil
}

// Client performs the opening handshake in the client role over conn (RFC 6455 section 4.1). ctx
// bounds it, in place of a deadline that conn may have, and ends it at once. Client never closes
// conn, with one exception: if conn doesn't support deadlines, it is closed when ctx ends. On
// success conn has no deadline.
//
// The error is a *HandshakeError. It has the Status, the Header and the start of the Body of the
// response, if there was one. A redirect is an error too: see RedirectTarget. If ctx has ended,
// errors.Is finds ctx.Err().
func Client(ctx context.Context, conn net.Conn, r *Request) (*Result, error) {
	target, err := r.check()
	if err != nil {
		return nil, err
	}
	release := interrupt(ctx, conn)
	x := &exchange{conn: conn, offered: r.Compression, message: message{prefix: "HTTP/", maxSize: sizeLimit(r.MaxSize)}}
	defer x.message.recycle()
	header := withExtensions(r.Header, offerHeader(r.Compression))
	dialer := ws.Dialer{Protocols: r.Subprotocols, Host: r.Host, Header: ws.HandshakeHeaderHTTP(header)}
	// The exchange ends with the response, so no bytes are left in a buffer.
	_, verified, err := dialer.Upgrade(x, target)
	if err != nil {
		failed := x.failure(ctx, err)
		release()
		return nil, failed
	}
	if !release() {
		return nil, &HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return newResult(&x.message, verified.Protocol, x.compression), nil
}

// An exchange is the connection that gobwas/ws writes the request to and reads the response from.
// The response that gobwas/ws reads has been parsed and checked.
type exchange struct {
	conn        net.Conn
	offered     engine.Compression
	message     message
	response    *response          // nil: none was received
	rejected    *HandshakeError    // why gobwas/ws can't read the response
	compression engine.Compression // of the response
	verifiable  *strings.Reader    // what gobwas/ws reads; nil: not received
}

func (x *exchange) Write(p []byte) (int, error) { return x.conn.Write(p) }

func (x *exchange) Read(p []byte) (int, error) {
	if x.verifiable == nil {
		if x.rejected = x.receive(); x.rejected != nil {
			return 0, x.rejected
		}
		x.verifiable = strings.NewReader(x.response.verifiable())
	}
	return x.verifiable.Read(p)
}

// receive receives the response and makes the checks that gobwas/ws doesn't make.
func (x *exchange) receive() *HandshakeError {
	var rejected *HandshakeError
	if x.response, rejected = receiveResponse(&x.message, x.conn, "the response"); rejected != nil {
		return rejected
	}
	if rejected = x.response.check(); rejected != nil {
		return rejected
	}
	x.compression, rejected = x.response.acceptExtensions(x.offered)
	return rejected
}

// failure returns the error of Client for an error of gobwas/ws.
func (x *exchange) failure(ctx context.Context, err error) *HandshakeError {
	failed := x.rejected
	switch {
	case failed != nil:
		failed.Err = withCtxErr(ctx, failed.Err)
	case x.response == nil:
		failed = &HandshakeError{Reason: "the request can't be sent", Err: withCtxErr(ctx, err)}
	default:
		failed = &HandshakeError{Reason: reasonOf(err)}
	}
	if x.response != nil {
		failed.Status, failed.Header = x.response.status, x.response.header
		failed.Body = x.response.bodyStart(ctx, &x.message, x.conn)
	}
	return failed
}
