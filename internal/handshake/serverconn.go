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

	"github.com/gobwas/ws"
	"github.com/seed004e8d11/websock/engine"
)

// ServerConn performs the opening handshake in the server role over conn, with no
// net/http server (RFC 6455 section 4.2). ctx bounds it, in place of a deadline that
// conn may have, and ends it at once. conn is left open in any case, and on success
// without a deadline; but one on which no deadline can be set is closed when ctx ends. o may
// be nil.
//
// The request, which has no body, is for the caller to look at; its TLS is that of conn if conn
// has a method ConnectionState, as a *tls.Conn has. The error is an
// *HandshakeError. With a status, that is what the request was answered with:
// those of Accept, and 431 for a request above MaxSize. Without, there was no whole
// request, or ctx has ended.
func ServerConn(ctx context.Context, conn net.Conn, o *ServerOptions) (*Result, *http.Request, error) {
	if o == nil {
		o = &ServerOptions{}
	}
	release := interrupt(ctx, conn)
	result, r, failed := negotiate(ctx, conn, o)
	if failed != nil {
		failed.Err = withEnd(ctx, failed.Err)
		release()
		return nil, nil, failed
	}
	if !release() {
		return nil, nil, &HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return result, r, nil
}

// negotiate is ServerConn without its deadlines.
func negotiate(ctx context.Context, conn net.Conn, o *ServerOptions) (*Result, *http.Request, *HandshakeError) {
	m := &message{maxSize: maxSize(o.MaxSize)}
	r, refusal := receiveRequest(ctx, conn, m)
	if refusal != nil {
		return nil, nil, declineConn(conn, refusal)
	}
	chosen, refusal := judge(r, o)
	if refusal != nil {
		return nil, nil, declineConn(conn, refusal)
	}
	upgrader := ws.Upgrader{
		Header:   ws.HandshakeHeaderHTTP(withExtensions(o.Header, chosen.extensions)),
		Protocol: func(p []byte) bool { return string(p) == chosen.subprotocol },
	}
	agreed, err := upgrader.Upgrade(struct {
		io.Reader
		io.Writer
	}{requestText(canonicalRequest(r, chosen.subprotocol)), conn})
	if err != nil {
		return nil, nil, &HandshakeError{Reason: "the answer can't be sent", Err: err}
	}
	return resultOf(m, agreed.Protocol, chosen.compression), r, nil
}

// receiveRequest reads a request as strictly as an http.Server does. A refusal
// without a status is not to be answered: there is nobody, or nothing, to answer.
func receiveRequest(ctx context.Context, conn net.Conn, m *message) (*http.Request, *HandshakeError) {
	if err := m.read(conn); err != nil {
		refusal := unreadable("the request", err)
		if errors.As(err, new(*engine.LimitError)) {
			refusal.Status = http.StatusRequestHeaderFieldsTooLarge
		}
		return nil, refusal
	}
	r, err := http.ReadRequest(bufio.NewReaderSize(bytes.NewReader(m.head()), m.headSize))
	if err == nil {
		err = checkNames(r.Header)
	}
	if err != nil {
		return nil, &HandshakeError{Reason: "the request is not proper HTTP", Status: http.StatusBadRequest, Err: err}
	}
	if secured, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		state := secured.ConnectionState()
		r.TLS = &state
	}
	return r.WithContext(ctx), nil
}

// requestText is the text of a canonical request, whose target has no meaning.
func requestText(r *http.Request) io.Reader {
	text := new(bytes.Buffer)
	fmt.Fprintf(text, "GET / HTTP/1.1\r\nHost: %s\r\n", r.Host)
	r.Header.Write(text)
	text.WriteString("\r\n")
	return text
}
