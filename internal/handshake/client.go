package handshake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
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
	if r.Host == "" || !httpguts.ValidHostHeader(r.Host) {
		return failure("host %q can't be sent", r.Host)
	}
	if err := checkTarget(r.Target); err != nil {
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

// checkTarget checks a request target. "" means "/".
func checkTarget(target string) error {
	if target == "" || target == "/" {
		return nil
	}
	if target[0] != '/' || strings.ContainsFunc(target, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return errTarget
	}
	_, err := url.ParseRequestURI(target)
	return err
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
	if err := r.Check(); err != nil {
		return nil, err
	}
	release := interrupt(ctx, conn)
	x := exchange{request: r, key: newKey(), message: message{prefix: "HTTP/", maxSize: sizeLimit(r.MaxSize)}}
	defer x.message.recycle()
	result, failed := x.perform(conn)
	if failed != nil {
		failed.Err = withCtxErr(ctx, failed.Err)
		if x.response != nil {
			failed.Status, failed.Header = x.response.status, x.response.header
			failed.Body = x.response.bodyStart(ctx, &x.message, conn)
		}
		release()
		return nil, failed
	}
	if !release() {
		return nil, &HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return result, nil
}

// An exchange is a request and its response.
type exchange struct {
	request  *Request
	key      key
	message  message
	response *response // nil: none was received, or it was a plainResponse
}

// perform sends the request, and receives and checks the response.
func (x *exchange) perform(conn net.Conn) (*Result, *HandshakeError) {
	if err := x.send(conn); err != nil {
		return nil, &HandshakeError{Reason: "the request can't be sent", Err: err}
	}
	if err := x.message.read(conn); err != nil {
		return nil, unreadable("the response", err)
	}
	if p, ok := parsePlain(x.message.head()); ok {
		if a, ok := p.agreement(x.request, &x.key); ok {
			return newResult(&x.message, a.subprotocol, a.compression), nil
		}
	}
	var failed *HandshakeError
	if x.response, failed = receiveResponse(&x.message, conn, "the response"); failed != nil {
		return nil, failed
	}
	a, failed := x.response.agreement(x.request, &x.key)
	if failed != nil {
		return nil, failed
	}
	return newResult(&x.message, a.subprotocol, a.compression), nil
}

// An agreement is what a response agrees to.
type agreement struct {
	subprotocol string
	compression engine.Compression
}

// requestSize is how long a request is that needs no more than the first memory. Few are longer.
const requestSize = 512

// send sends the request in one piece (RFC 6455 section 4.1).
func (x *exchange) send(w io.Writer) error {
	b := buffer.Get(requestSize)
	defer b.Put()
	b.B = x.request.appendText(b.B, &x.key)
	_, err := w.Write(b.B)
	return err
}

// appendText appends the request as it is sent with this key.
func (r *Request) appendText(text []byte, k *key) []byte {
	text = append(text, "GET "...)
	text = append(text, cmp.Or(r.Target, "/")...)
	text = append(text, " HTTP/1.1\r\nHost: "...)
	text = append(text, r.Host...)
	text = append(text, "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "...)
	text = append(text, k[:]...)
	for i, name := range r.Subprotocols {
		if i == 0 {
			text = append(text, "\r\nSec-WebSocket-Protocol: "...)
		} else {
			text = append(text, ", "...)
		}
		text = append(text, name...)
	}
	if offer := offerHeader(r.Compression); offer != "" {
		text = append(text, "\r\nSec-WebSocket-Extensions: "...)
		text = append(text, offer...)
	}
	text = append(text, "\r\n"...)
	if len(r.Header) > 0 {
		text = appendHeaderLines(text, r.Header)
	}
	return append(text, "\r\n"...)
}

// appendHeaderLines appends a header as net/http writes it.
func appendHeaderLines(text []byte, h http.Header) []byte {
	lines := bytes.NewBuffer(text)
	h.Write(lines) // can't fail: memory takes everything
	return lines.Bytes()
}
