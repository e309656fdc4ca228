package handshake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

func TestServersAccept(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			o := &ServerOptions{Subprotocols: []string{"v2", "v1"}, Header: http.Header{"X-Server": {"s"}}}
			response, _, result, err := serve(t, o, "GET /chat HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: v1, ,v0\r\nSec-WebSocket-Protocol: v2\r\n\r\n\x81\x80early")
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != 101 || response.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Errorf("%v", response)
			}
			if response.Header.Get("Sec-WebSocket-Protocol") != "v2" || result.Subprotocol != "v2" {
				t.Errorf("subprotocol %q, %q: the server's preference counts", response.Header.Get("Sec-WebSocket-Protocol"), result.Subprotocol)
			}
			if response.Header.Get("X-Server") != "s" {
				t.Error("the server's own header is missing")
			}
			if string(result.Early) != "\x81\x80early" {
				t.Errorf("early bytes %q", result.Early)
			}
			lines := strings.ToLower(string(result.RawHeader))
			if !strings.HasPrefix(lines, "host: example.com\r\n") || !strings.Contains(lines, "\r\nsec-websocket-version: 13\r\n") || !strings.HasSuffix(lines, "\r\n") {
				t.Errorf("header lines %q", result.RawHeader)
			}
		})
	}
}

func TestWithoutACommonSubprotocolServersAgreeOnNone(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			for _, o := range []*ServerOptions{nil, {Subprotocols: []string{"v2"}}} {
				response, _, result, err := serve(t, o, "GET / HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: v1\r\n\r\n")
				if err != nil || result.Subprotocol != "" || response.Header["Sec-Websocket-Protocol"] != nil || result.Early != nil {
					t.Errorf("%v, %+v", err, result)
				}
			}
		})
	}
}

// Every token is a valid subprotocol. gobwas/ws parses it again, and must not reject it.
func TestServersAgreeOnAnyToken(t *testing.T) {
	const odd = "!#$%&'*+-.^_`|~0aZ"
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			_, _, result, err := serve(t, &ServerOptions{Subprotocols: []string{odd}}, "GET / HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: "+odd+"\r\n\r\n")
			if err != nil || result.Subprotocol != odd {
				t.Errorf("%v, %+v", err, result)
			}
		})
	}
}

func TestServersDecline(t *testing.T) {
	without := func(line string) string { return strings.Replace(goodHeader, line+"\r\n", "", 1) }
	replaced := func(old, new string) string { return strings.Replace(goodHeader, old, new, 1) }
	decline := func(err error) ServerOptions {
		return ServerOptions{CheckRequest: func(*http.Request) error { return err }}
	}
	get := "GET / HTTP/1.1\r\n"
	tests := []struct {
		name    string
		options ServerOptions
		request string
		status  int
	}{
		{"POST", ServerOptions{}, "POST / HTTP/1.1\r\n" + goodHeader, 405},
		{"HTTP/1.0", ServerOptions{}, "GET / HTTP/1.0\r\n" + goodHeader, 505},
		{"no Upgrade", ServerOptions{}, get + without("Upgrade: websocket"), 426},
		{"another Upgrade", ServerOptions{}, get + replaced("websocket", "h2c"), 426},
		{"no Connection", ServerOptions{}, get + without("Connection: keep-alive, Upgrade"), 426},
		{"no version", ServerOptions{}, get + without("Sec-WebSocket-Version: 13"), 426},
		{"another version", ServerOptions{}, get + replaced("13", "8"), 426},
		{"two versions", ServerOptions{}, get + goodHeader + "Sec-WebSocket-Version: 8\r\n", 426},
		{"no key", ServerOptions{}, get + without("Sec-WebSocket-Key: "+testKey), 400},
		{"key of 15 bytes", ServerOptions{}, get + replaced(testKey, "dGhlIHNhbXBsZSBub25j"), 400},
		{"key that is not base64", ServerOptions{}, get + replaced(testKey, strings.Repeat("!", 24)), 400},
		{"two keys", ServerOptions{}, get + goodHeader + "Sec-WebSocket-Key: " + testKey + "\r\n", 400},
		{"subprotocol that is not a token", ServerOptions{}, get + goodHeader + "Sec-WebSocket-Protocol: a b\r\n", 400},
		{"empty host", ServerOptions{}, get + replaced("example.com", ""), 400},
		{"empty host, and an origin to match", ServerOptions{}, get + replaced("example.com", "") + "Origin: null\r\n", 400},
		{"body", ServerOptions{}, get + goodHeader + "Content-Length: 2\r\n\r\n", 400},
		{"body in chunks", ServerOptions{}, get + goodHeader + "Transfer-Encoding: chunked\r\n\r\n0\r\n", 400},
		{"another origin", ServerOptions{}, get + goodHeader + "Origin: https://evil.example\r\n", 403},
		{"two origins", ServerOptions{}, get + goodHeader + "Origin: http://example.com\r\nOrigin: http://evil.example\r\n", 403},
		{"origin null", ServerOptions{}, get + goodHeader + "Origin: null\r\n", 403},
		{"origin that is no URL", ServerOptions{}, get + goodHeader + "Origin: ://\r\n", 403},
		{"origin not allowed", ServerOptions{CheckOrigin: func(*http.Request) bool { return false }}, get + goodHeader, 403},
		{"request not welcome", decline(errors.New("secret")), get + goodHeader, 403},
		{"request not found", decline(&HandshakeError{Reason: "not here", Status: 404}), get + goodHeader, 404},
		{"a response that is none", decline(&HandshakeError{Reason: "fine", Status: 200}), get + goodHeader, 403},
		{"bad header of our own", ServerOptions{Header: http.Header{"Upgrade": {"x"}}}, get + goodHeader, 500},
		{"bad subprotocol of our own", ServerOptions{Subprotocols: []string{"a b"}}, get + goodHeader, 500},
	}
	for _, test := range tests {
		for name, serve := range servers {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				response, body, _, err := serve(t, &test.options, test.request+"\r\n")
				var failed *HandshakeError
				if !errors.As(err, &failed) || failed.Status != test.status || response.StatusCode != test.status {
					t.Fatalf("answered %d, returned %v; want %d", response.StatusCode, err, test.status)
				}
				if !strings.Contains(body, failed.Reason) || body != string(failed.Body) {
					t.Errorf("body %q and %q don't both say %q", body, failed.Body, failed.Reason)
				}
				if strings.Contains(body, "secret") {
					t.Errorf("body %q contains the cause, which only the server should see", body)
				}
				if test.status == 426 && (response.Header.Get("Sec-WebSocket-Version") != "13" || response.Header.Get("Upgrade") != "websocket") {
					t.Errorf("426 doesn't name the protocol and the version: %v", response.Header)
				}
				if test.status == 405 && response.Header.Get("Allow") != "GET" {
					t.Errorf("405 doesn't name the allowed method: %v", response.Header)
				}
			})
		}
	}
}

func TestAnErrorOfTheApplicationCanBeTheResponse(t *testing.T) {
	own := &HandshakeError{
		Reason: "no token", Status: 401,
		Header: http.Header{"Www-Authenticate": {"Bearer"}}, Body: []byte("{}"),
	}
	o := &ServerOptions{CheckRequest: func(r *http.Request) error {
		if r.URL.Path != "/chat" || r.Host != "example.com" || r.Header.Get("X-Token") != "" {
			return errors.New("not what was sent")
		}
		return fmt.Errorf("wrapped: %w", own)
	}}
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			response, body, _, err := serve(t, o, "GET /chat HTTP/1.1\r\n"+goodHeader+"\r\n")
			if response.StatusCode != 401 || response.Header.Get("WWW-Authenticate") != "Bearer" || body != "{}" {
				t.Errorf("%v %q", response, body)
			}
			if !errors.As(err, new(*HandshakeError)) {
				t.Error(err)
			}
		})
	}
}

func TestServersAllowOrigins(t *testing.T) {
	for origin, options := range map[string]ServerOptions{
		"http://example.com":   {},
		"https://EXAMPLE.com":  {},
		"https://evil.example": {CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") != "" }},
	} {
		for name, serve := range servers {
			_, _, _, err := serve(t, &options, fmt.Sprintf("GET / HTTP/1.1\r\n%sOrigin: %s\r\n\r\n", goodHeader, origin))
			if err != nil {
				t.Errorf("%s of %s: %v", name, origin, err)
			}
		}
	}
}

func TestOriginsAreComparedWithTheHost(t *testing.T) {
	for _, test := range []struct {
		origin, host string
		tls          bool
		scheme       string
		want         bool
	}{
		{"http://example.com", "example.com", false, "", true},
		{"http://example.com", "example.com:80", false, "", true},
		{"http://example.com:80", "example.com", false, "", true},
		{"https://example.com", "example.com:443", false, "", true}, // behind a proxy that does TLS
		{"https://example.com:443", "EXAMPLE.com", false, "", true},
		{"https://example.com", "example.com:80", false, "", false},
		{"http://example.com", "example.com:443", false, "", false},
		{"http://example.com:8080", "example.com:8080", false, "", true},
		{"http://example.com:8080", "example.com", false, "", false},
		{"http://example.com", "example.com:8080", false, "", false},
		{"http://[::1]", "[::1]:80", false, "", true},
		{"http://[0:0::1]:8080", "[::1]:8080", false, "", true},

		{"https://example.com", "example.com", true, "", true},
		{"http://example.com", "example.com", true, "", false},
		{"http://example.com:443", "example.com", true, "", false},
		{"https://example.com:8443", "example.com:8443", true, "", true},
		{"https://example.com", "example.com", false, "https", true},
		{"http://example.com", "example.com", false, "https", false},
		{"https://example.com", "example.com", false, "http", false},
		{"http://example.com", "example.com", true, "http", true},
		{"wss://example.com", "example.com", true, "", true},

		{"null", "example.com", false, "", false},
		{"", "example.com", false, "", false},
		{"example.com", "example.com", false, "", false},
		{"//example.com", "example.com", false, "", false},
		{"ftp://example.com", "example.com", false, "", false},
		{"ws+unix://example.com", "example.com", false, "", false},
		{"http://example.com@evil.example", "example.com", false, "", false},
		{"http://example.com.evil.example", "example.com", false, "", false},
		{"http://evil.example/example.com", "example.com", false, "", false},
		{"http://example.com:99999", "example.com:99999", false, "", false},
	} {
		r := upgradeRequest()
		r.Host = test.host
		r.Header.Set("Origin", test.origin)
		if test.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if _, refusal := validateRequest(r, &ServerOptions{Scheme: test.scheme}); (refusal == nil) != test.want {
			t.Errorf("%+v: %v", test, refusal)
		}
	}
	if _, refusal := validateRequest(upgradeRequest(), &ServerOptions{Scheme: "wss"}); refusal == nil || refusal.Status != 500 {
		t.Errorf("an invalid scheme: %v", refusal)
	}
}

func TestAcceptNeedsAHijacker(t *testing.T) {
	w := httptest.NewRecorder()
	_, _, err := Accept(w, upgradeRequest(), nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 500 || w.Code != 500 {
		t.Errorf("%v, answered %d", err, w.Code)
	}
}

func TestAcceptDeclinesOtherVersionsOfHTTP(t *testing.T) {
	for _, major := range []int{0, 4} {
		r := upgradeRequest()
		r.ProtoMajor = major
		w := httptest.NewRecorder()
		_, _, err := Accept(w, r, nil)
		var failed *HandshakeError
		if !errors.As(err, &failed) || failed.Status != 505 || w.Code != 505 {
			t.Errorf("HTTP/%d: %v, answered %d", major, err, w.Code)
		}
	}
}

func TestAcceptTimesOutIfTheClientDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe()
		defer client.Close()
		_, _, err := Accept(hijackable{httptest.NewRecorder(), conn}, upgradeRequest(), nil)
		var failed *HandshakeError
		if !errors.As(err, &failed) || failed.Status != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if _, err := conn.Write(nil); err == nil {
			t.Error("the connection is open")
		}
	})
}

func TestServerConnReturnsTheRequest(t *testing.T) {
	script := &scripted{response: "GET /chat?room=1 HTTP/1.1\r\n" + goodHeader + "Cookie: a=b\r\n\r\n"}
	_, r, err := ServerConn(t.Context(), script, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.RequestURI != "/chat?room=1" || r.Host != "example.com" || r.Header.Get("Cookie") != "a=b" || r.Context() != t.Context() {
		t.Errorf("%+v", r)
	}
}

func TestRequestsMayArriveInPieces(t *testing.T) {
	request := "GET / HTTP/1.1\r\n" + goodHeader + "\r\n"
	frames := "\x81\x80mask"
	for cut := range len(request + frames) {
		script := &scripted{response: request + frames, cut: cut}
		result, _, err := ServerConn(t.Context(), script, nil)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got := string(result.Early) + script.unread(); got != frames {
			t.Fatalf("cut at %d: %q", cut, got)
		}
		if string(result.RawHeader) != goodHeader {
			t.Fatalf("cut at %d: header lines %q", cut, result.RawHeader)
		}
	}
}

func TestServerConnRejectsWhatAnHTTPServerRejects(t *testing.T) {
	get := "GET / HTTP/1.1\r\n"
	for _, test := range []struct {
		name, request string
		status        int
		cause         error
	}{
		{"no request line", "\r\n\r\n", 400, nil},
		{"another protocol", "SSH-2.0-x\r\n\r\n", 400, nil},
		{"space after a name", get + strings.Replace(goodHeader, "Upgrade:", "Upgrade :", 1) + "\r\n", 400, nil},
		{"NUL in a value", get + goodHeader + "X: \x00\r\n\r\n", 400, nil},
		{"two hosts", get + goodHeader + "Host: h\r\n\r\n", 400, nil},
		{"malformed host", get + strings.Replace(goodHeader, "example.com", "a/b", 1) + "\r\n", 400, nil},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, nil},
		{"too much", get + strings.Repeat("X: x\r\n", 1000), 431, &engine.LimitError{Limit: "HandshakeSize", Max: 1000, Code: engine.ClosePolicyViolation}},
		{"nothing", "", 0, io.ErrUnexpectedEOF},
		{"end within the header", get + goodHeader, 0, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			script := &scripted{response: test.request}
			_, _, err := ServerConn(t.Context(), script, &ServerOptions{MaxSize: 1000})
			var failed *HandshakeError
			if !errors.As(err, &failed) || failed.Status != test.status {
				t.Fatalf("%v, want status %d", err, test.status)
			}
			if (script.received.Len() == 0) != (test.status == 0) {
				t.Errorf("answered %q", script.received.String())
			}
			var limit *engine.LimitError
			switch want := test.cause.(type) {
			case *engine.LimitError:
				if !errors.As(err, &limit) || *limit != *want {
					t.Error(err)
				}
			case error:
				if !errors.Is(err, want) {
					t.Error(err)
				}
			}
		})
	}
}

func TestServerConnEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			bound func(context.Context) (context.Context, context.CancelFunc)
			want  []error
		}{
			"timeout": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				return context.WithTimeout(ctx, time.Second)
			}, []error{context.DeadlineExceeded, os.ErrDeadlineExceeded}},
			"cancellation": {func(ctx context.Context) (context.Context, context.CancelFunc) {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Second, cancel)
				return ctx, cancel
			}, []error{context.Canceled}},
		} {
			for _, sent := range []string{"GET / HT", "GET / HTTP/1.1\r\n" + goodHeader + "\r\n"} { // incomplete; response not read
				ctx, cancel := test.bound(t.Context())
				client, server := net.Pipe()
				go io.WriteString(client, sent)
				_, _, err := ServerConn(ctx, server, nil)
				for _, want := range test.want {
					if !errors.Is(err, want) {
						t.Errorf("%s: %v", name, err)
					}
				}
				client.Close()
				server.Close()
				cancel()
			}
		}
	})
}

func TestServerConnFailsIfItsContextEndsWithTheLastByte(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	script := &scripted{response: "GET / HTTP/1.1\r\n" + goodHeader + "\r\n"}
	_, _, err := ServerConn(ctx, cancelsOnRead{script, cancel}, nil)
	if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestServerConnDetectsTLS(t *testing.T) {
	client, server := net.Pipe()
	defer client.Close()
	go func() {
		io.WriteString(client, "GET / HTTP/1.1\r\n"+goodHeader+"Origin: http://example.com\r\n\r\n")
		io.Copy(io.Discard, client)
	}()
	_, _, err := ServerConn(t.Context(), tlsConn{server}, &ServerOptions{CheckRequest: func(r *http.Request) error {
		t.Error("a page without TLS is treated as one of the same origin")
		return nil
	}})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusForbidden {
		t.Error(err)
	}
	server.Close()
}
