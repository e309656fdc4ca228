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

// A TunnelRequest says what an HTTP proxy is asked for. It is only read.
type TunnelRequest struct {
	Target  string        // "host:port"
	User    *url.Userinfo // sent as Basic credentials; nil: none
	Header  http.Header   // beyond Host; its Proxy-Authorization takes the place of User's
	MaxSize int           // of the answer, bytes; as engine.Limits.HandshakeSize
}

// Tunnel asks the HTTP proxy at the other end of conn to connect to a target (RFC 9110
// section 9.3.6; RFC 6455 section 4.1). Afterwards conn leads there. ctx bounds it, in place
// of a deadline that conn may have; conn is left open in any case, and on success without a
// deadline; but one on which no deadline can be set is closed when ctx ends.
//
// The error is a *HandshakeError, with Status, Header and the start of Body as
// far as the proxy answered.
func Tunnel(ctx context.Context, conn net.Conn, r *TunnelRequest) error {
	if err := r.check(); err != nil {
		return err
	}
	release := interrupt(ctx, conn)
	failed := tunnel(ctx, conn, r)
	if failed != nil {
		failed.Err = withEnd(ctx, failed.Err)
		release()
		return failed
	}
	if !release() {
		return &HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return nil
}

// check refuses what must not be sent.
func (r *TunnelRequest) check() error {
	if r.Target == "" || !httpguts.ValidHostHeader(r.Target) || strings.ContainsAny(r.Target, " /?#@\\") {
		return refuse("target %q can't be sent to the proxy", r.Target)
	}
	return checkHeader(r.Header)
}

// tunnel is Tunnel without its deadlines.
func tunnel(ctx context.Context, conn net.Conn, r *TunnelRequest) *HandshakeError {
	if _, err := conn.Write(r.text()); err != nil {
		return &HandshakeError{Reason: "the request can't be sent to the proxy", Err: err}
	}
	m := &message{start: "HTTP/", maxSize: maxSize(r.MaxSize)}
	a, refused := receiveAnswer(m, conn, "the proxy's answer")
	switch {
	case refused != nil:
		return refused
	case a.StatusCode/100 != 2:
		failed := refuse("the proxy declines")
		failed.Status, failed.Header, failed.Body = a.StatusCode, a.Header, a.bodyStart(ctx, m, conn)
		return failed
	case len(m.rest()) > 0:
		return refuse("the proxy sent more than its answer")
	}
	return nil
}

// text is the request as it is sent.
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
