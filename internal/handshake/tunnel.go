package handshake

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// A TunnelRequest is a request to an HTTP proxy. Tunnel only reads it.
type TunnelRequest struct {
	Target  string        // "host:port"
	User    *url.Userinfo // sent as Basic credentials; nil: none
	Header  http.Header   // beyond Host; its Proxy-Authorization takes the place of User's
	MaxSize int           // of the response's status line and header in bytes; 0: DefaultMaxSize, negative: no limit
}

// Tunnel asks the HTTP proxy at the other end of conn to connect to a target (RFC 9110 section
// 9.3.6; RFC 6455 section 4.1). On success conn is connected to the target. ctx bounds Tunnel, in
// place of a deadline that conn may have. Tunnel never closes conn, with one exception: if conn
// doesn't support deadlines, it is closed when ctx ends. On success conn has no deadline.
//
// The error is a *HandshakeError. It has the Status, the Header and the start of the Body of the
// proxy's response, if there was one.
func Tunnel(ctx context.Context, conn net.Conn, r *TunnelRequest) error {
	if err := r.check(); err != nil {
		return err
	}
	release := interrupt(ctx, conn)
	failed := tunnel(ctx, conn, r)
	if failed != nil {
		failed.Err = withCtxErr(ctx, failed.Err)
		release()
		return failed
	}
	if !release() {
		return &HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return nil
}

// check rejects a request that must not be sent.
func (r *TunnelRequest) check() error {
	if r.Target == "" || !httpguts.ValidHostHeader(r.Target) || strings.ContainsAny(r.Target, " /?#@\\") {
		return failure("target %q can't be sent to the proxy", r.Target)
	}
	return checkHeader(r.Header)
}

// tunnel is Tunnel without deadlines.
func tunnel(ctx context.Context, conn net.Conn, r *TunnelRequest) *HandshakeError {
	if _, err := conn.Write(r.text()); err != nil {
		return &HandshakeError{Reason: "the request can't be sent to the proxy", Err: err}
	}
	m := &message{prefix: "HTTP/", maxSize: sizeLimit(r.MaxSize)}
	defer m.recycle()
	response, rejected := receiveResponse(m, conn, "the proxy's response")
	switch {
	case rejected != nil:
		return rejected
	case response.status/100 != 2:
		failed := failure("the proxy declines")
		failed.Status, failed.Header, failed.Body = response.status, response.header, response.bodyStart(ctx, m, conn)
		return failed
	case len(m.early()) > 0:
		return failure("the proxy sent more than its response")
	}
	return nil
}

// text returns the request as it is sent.
func (r *TunnelRequest) text() []byte {
	text := new(bytes.Buffer)
	fmt.Fprintf(text, "%s %s HTTP/1.1\r\nHost: %s\r\n", http.MethodConnect, r.Target, r.Target)
	if r.User != nil && r.Header.Get(headerProxyAuthorization) == "" {
		password, _ := r.User.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(r.User.Username() + ":" + password))
		fmt.Fprintf(text, "%s: Basic %s\r\n", headerProxyAuthorization, credentials)
	}
	r.Header.Write(text)
	text.WriteString("\r\n")
	return text.Bytes()
}
