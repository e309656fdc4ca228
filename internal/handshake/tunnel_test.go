package handshake

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

func TestTunnelAsksForTheTarget(t *testing.T) {
	r, err := tunnelThrough(t, t.Context(), TunnelRequest{Target: "[::1]:443", User: url.UserPassword("me", "secret")}, says("HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != "CONNECT" || r.RequestURI != "[::1]:443" || r.Host != "[::1]:443" {
		t.Errorf("%s %s, Host %s", r.Method, r.RequestURI, r.Host)
	}
	if got := r.Header.Get("Proxy-Authorization"); got != "Basic bWU6c2VjcmV0" {
		t.Errorf("credentials %q", got)
	}
	r, err = tunnelThrough(t, t.Context(), TunnelRequest{Target: "h:80"}, says("HTTP/1.0 200 OK\r\n\r\n"))
	if err != nil || r.Header.Get("Proxy-Authorization") != "" {
		t.Errorf("%v, header %v", err, r.Header)
	}
}

func TestTunnelSendsHeadersToTheProxy(t *testing.T) {
	r, err := tunnelThrough(t, t.Context(), TunnelRequest{
		Target: "h:80",
		User:   url.UserPassword("me", "secret"),
		Header: http.Header{"X-Tenant": {"a", "b"}, "Proxy-Authorization": {"Bearer t"}},
	}, says("HTTP/1.1 200 OK\r\n\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Header["X-Tenant"]; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
	if got := r.Header["Proxy-Authorization"]; !slices.Equal(got, []string{"Bearer t"}) {
		t.Errorf("%q", got)
	}
	for name, value := range map[string]string{"Host": "evil", "X": "a\r\nb: c", "Content-Length": "1", "a b": ""} {
		err := Tunnel(t.Context(), nil, &TunnelRequest{Target: "h:80", Header: http.Header{name: {value}}})
		if !errors.As(err, new(*HandshakeError)) {
			t.Errorf("%s: %q is sent", name, value)
		}
	}
}

func TestTunnelRejects(t *testing.T) {
	for name, test := range map[string]struct {
		response string
		status   int
		text     string
	}{
		"credentials wanted": {"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nwho?", 407, "declines"},
		"bad gateway":        {"HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\nwho?", 502, "declines"},
		"more than asked":    {"HTTP/1.1 200 OK\r\n\r\n\x81\x00", 0, "more than its response"},
		"end":                {"HTTP/1.1 200 OK\r\n", 0, "ended before"},
		"another protocol":   {"SSH-2.0\r\n", 0, "not HTTP"},
		"bad header":         {"HTTP/1.1 200 OK\r\nbad\r\n\r\n", 0, "not proper HTTP"},
		"switched":           {"HTTP/1.1 101 Switching\r\nContent-Length: 4\r\n\r\nwho?", 101, "declines"},
		"endless header":     {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 2000), 0, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tunnelThrough(t, t.Context(), TunnelRequest{Target: "h:80"}, says(test.response))
			var failed *HandshakeError
			if !errors.As(err, &failed) || failed.Status != test.status || !strings.Contains(err.Error(), test.text) {
				t.Fatalf("%v, want status %d and %q", err, test.status, test.text)
			}
			if test.status > 101 && (string(failed.Body) != "who?" || failed.Header == nil) {
				t.Errorf("body %q, header %v", failed.Body, failed.Header)
			}
		})
	}
	for _, target := range []string{"h:80\r\nEvil: 1", "h/x", ""} {
		if err := Tunnel(t.Context(), nil, &TunnelRequest{Target: target}); !errors.As(err, new(*HandshakeError)) {
			t.Errorf("target %q: %v", target, err)
		}
	}
}

func TestHeadersAboutABodyAreIgnoredIn2xxResponsesOfProxies(t *testing.T) {
	for _, line := range bodyHeaders {
		for _, interim := range []string{"", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n" + line + "\r\n\r\n"} {
			response := interim + "HTTP/1.1 200 OK\r\n" + line + "\r\n\r\n"
			if _, err := tunnelThrough(t, t.Context(), TunnelRequest{Target: "h:80"}, says(response)); err != nil {
				t.Errorf("%q: %v", response, err)
			}
		}
	}
}

func TestProxyResponsesAndRedirectsMayArriveInPieces(t *testing.T) {
	const interim = "HTTP/1.1 100 Continue\r\nContent-Length: -1\r\n\r\n"
	const agrees = interim + interim + "HTTP/1.1 200 OK\r\nTransfer-Encoding: xyz\r\nX: a\r\n b\r\n\r\n"
	const redirects = interim + "HTTP/1.1 302 Found\r\nLocation: /a\r\n b\r\nContent-Length: 3\r\n\r\n"
	for _, end := range []string{"\r\n", "\n"} {
		response := strings.ReplaceAll(agrees, "\r\n", end)
		for cut := range response {
			if err := Tunnel(t.Context(), &scripted{response: response, cut: cut}, &TunnelRequest{Target: "h:80"}); err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
		response = strings.ReplaceAll(redirects, "\r\n", end) + "abc"
		for cut := range response {
			_, err := Client(t.Context(), &scripted{response: response, cut: cut}, &Request{Host: "h"})
			var failed *HandshakeError
			if !errors.As(err, &failed) || failed.Status != 302 || string(failed.Body) != "abc" || failed.Header.Get("Location") != "/a b" {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
	}
}

func TestTheSizeOfInterimResponsesOfProxiesIsLimited(t *testing.T) {
	endless := strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1000)
	if _, err := tunnelThrough(t, t.Context(), TunnelRequest{Target: "h:80"}, says(endless)); !errors.As(err, new(*engine.LimitError)) {
		t.Error(err)
	}
}

func TestTunnelEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := tunnelThrough(t, ctx, TunnelRequest{Target: "h:80"}, func(conn net.Conn) { io.Copy(io.Discard, conn) })
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a proxy that is silent: %v", err)
	}
	client, server := net.Pipe()
	server.Close()
	if err := Tunnel(t.Context(), client, &TunnelRequest{Target: "h:80"}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a proxy that is gone: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	_, err = tunnelThrough(t, ctx, TunnelRequest{Target: "h:80"}, func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r")
		cancel()
		io.WriteString(conn, "\n")
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled at the last moment: %v", err)
	}
}
