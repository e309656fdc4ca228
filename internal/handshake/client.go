package handshake

import (
	"context"
	"io"
	"net"

	"github.com/gobwas/ws"
	"github.com/seed004e8d11/websock/engine"
)

// Client performs the opening handshake in the client role over conn (RFC 6455
// section 4.1). ctx bounds it, in place of a deadline that conn may have, and ends it
// at once. conn is left open in any case, and on success without a deadline; but one on which
// no deadline can be set is closed when ctx ends.
//
// The error is a *HandshakeError: with Status, Header and the start of
// Body as far as there was an answer, and the cause in its chain. Redirects are
// such an answer; see RedirectTarget. When ctx has ended the chain holds ctx.Err().
func Client(ctx context.Context, conn net.Conn, r *Request) (*Result, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	target, _ := r.url() // checked
	release := interrupt(ctx, conn)
	x := &exchange{conn: conn, wished: r.Compression, message: message{start: "HTTP/", maxSize: maxSize(r.MaxSize)}}
	header := withExtensions(r.Header, offerHeader(r.Compression))
	dialer := ws.Dialer{Protocols: r.Subprotocols, Host: r.Host, Header: ws.HandshakeHeaderHTTP(header)}
	// The exchange ends with the answer: there are no bytes left in a buffer.
	_, agreed, err := dialer.Upgrade(x, target)
	if err != nil {
		failed := x.failure(ctx, err)
		release()
		return nil, failed
	}
	if !release() {
		return nil, &HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return resultOf(&x.message, agreed.Protocol, x.agreed), nil
}

// An exchange is what gobwas/ws writes the request to and reads the answer from.
// What it reads has been taken apart and checked before, and is whole.
type exchange struct {
	conn    net.Conn
	wished  engine.Compression
	message message
	answer  *answer            // nil: not received
	refused *HandshakeError    // why there is no answer to read
	agreed  engine.Compression // once checked
	checked io.Reader          // what gobwas/ws reads
}

func (x *exchange) Write(p []byte) (int, error) { return x.conn.Write(p) }

func (x *exchange) Read(p []byte) (int, error) {
	if x.checked == nil && x.refused == nil {
		x.refused = x.receive()
	}
	if x.refused != nil {
		return 0, x.refused
	}
	return x.checked.Read(p)
}

// receive reads and checks the answer.
func (x *exchange) receive() *HandshakeError {
	var refused *HandshakeError
	if x.answer, refused = receiveAnswer(&x.message, x.conn, "the answer"); refused != nil {
		return refused
	}
	x.checked = x.answer.canonical()
	return x.check()
}

// check demands of the answer what gobwas/ws doesn't.
func (x *exchange) check() *HandshakeError {
	if refusal := x.answer.check(); refusal != nil {
		return refusal
	}
	var err error
	if x.agreed, err = agree(x.wished, x.answer.Header[headerExtensions]); err != nil {
		return &HandshakeError{Reason: "the answer's Sec-WebSocket-Extensions can't be accepted", Err: err}
	}
	return nil
}

// failure makes the error to return of that of gobwas/ws.
func (x *exchange) failure(ctx context.Context, err error) *HandshakeError {
	failed := x.refused
	switch {
	case failed != nil:
		failed.Err = withEnd(ctx, failed.Err)
	case x.answer == nil:
		failed = &HandshakeError{Reason: "the request can't be sent", Err: withEnd(ctx, err)}
	default:
		failed = &HandshakeError{Reason: reasonOf(err)}
	}
	if x.answer != nil {
		failed.Status, failed.Header = x.answer.StatusCode, x.answer.Header
		failed.Body = x.answer.bodyStart(ctx, &x.message, x.conn)
	}
	return failed
}
