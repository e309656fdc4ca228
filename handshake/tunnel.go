package handshake

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/http/httpguts"
)

// Tunnel asks the HTTP proxy at the other end of conn to connect to target, as
// "host:port" (RFC 9110 section 9.3.6; RFC 6455 section 4.1). user, unless it is nil,
// is sent as Basic credentials. maxSize bounds the proxy's answer in bytes; 0 means
// engine.DefaultHandshakeSize. Afterwards conn leads to the target. ctx bounds it, in
// place of a deadline that conn may have; conn is left open in any case, and on success
// without a deadline.
//
// The error is an *engine.HandshakeError, with Status, Header and the start of Body as
// far as the proxy answered.
func Tunnel(ctx context.Context, conn net.Conn, target string, user *url.Userinfo, maxSize int) error {
	if target == "" || !httpguts.ValidHostHeader(target) || strings.ContainsAny(target, " /?#@\\") {
		return refuse("target %q can't be sent to the proxy", target)
	}
	release := interrupt(ctx, conn)
	failed := tunnel(ctx, conn, target, user, maxSize)
	if failed != nil {
		failed.Err = withEnd(ctx, failed.Err)
		release()
		return failed
	}
	if !release() {
		return &engine.HandshakeError{Reason: "interrupted", Err: ctx.Err()}
	}
	return nil
}

// tunnel is Tunnel without its deadlines.
func tunnel(ctx context.Context, conn net.Conn, target string, user *url.Userinfo, size int) *engine.HandshakeError {
	if _, err := conn.Write(connectRequest(target, user)); err != nil {
		return &engine.HandshakeError{Reason: "the request can't be sent to the proxy", Err: err}
	}
	m := &message{start: "HTTP/", maxSize: maxSize(size)}
	if err := m.read(conn); err != nil {
		return unreadable("the proxy's answer", err)
	}
	a, err := parseAnswer(m, conn)
	switch {
	case err != nil:
		return &engine.HandshakeError{Reason: "the proxy's answer is not proper HTTP", Err: err}
	case a.StatusCode/100 != 2:
		failed := refuse("the proxy declines")
		failed.Status, failed.Header, failed.Body = a.StatusCode, a.Header, a.bodyStart(ctx, conn)
		return failed
	case len(m.rest()) > 0:
		return refuse("the proxy sent more than its answer")
	}
	return nil
}

func connectRequest(target string, user *url.Userinfo) []byte {
	text := fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n", http.MethodConnect, target, target)
	if user != nil {
		password, _ := user.Password()
		credentials := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		text = fmt.Appendf(text, "Proxy-Authorization: Basic %s\r\n", credentials)
	}
	return append(text, "\r\n"...)
}
