package handshake

import (
	"bufio"
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
)

const (
	testKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	goodHeader = "Host: example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n"
)

// A server performs the handshake for a request and returns its answer.
type server func(t *testing.T, o *ServerOptions, request string) (answer *http.Response, body string, result *Result, err error)

// servers are both ways to perform it.
var servers = map[string]server{"Accept": serveHTTP, "ServerConn": serveConn}

// serveHTTP performs it in an HTTP server.
func serveHTTP(t *testing.T, o *ServerOptions, request string) (answer *http.Response, body string, result *Result, err error) {
	t.Helper()
	accepted := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(accepted)
		var conn net.Conn
		conn, result, err = Accept(w, r, o)
		if err == nil {
			conn.Close()
		}
	}))
	defer server.Close()
	conn, dialErr := net.Dial("tcp", server.Listener.Addr().String())
	if dialErr != nil {
		t.Fatal(dialErr)
	}
	defer conn.Close()
	io.WriteString(conn, request)
	answer, body = readAnswer(t, conn)
	<-accepted
	return answer, body, result, err
}

// serveConn performs it over a connection.
func serveConn(t *testing.T, o *ServerOptions, request string) (answer *http.Response, body string, result *Result, err error) {
	t.Helper()
	client, conn := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		defer conn.Close()
		result, _, err = ServerConn(t.Context(), conn, o)
	}()
	go io.WriteString(client, request)
	answer, body = readAnswer(t, client)
	client.Close()
	<-served
	return answer, body, result, err
}

func readAnswer(t *testing.T, conn net.Conn) (answer *http.Response, body string) {
	t.Helper()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	return answer, string(b)
}

func TestServersAgree(t *testing.T) {
	for name, serve := range servers {
		t.Run(name, func(t *testing.T) {
			o := &ServerOptions{Subprotocols: []string{"v2", "v1"}, Header: http.Header{"X-Server": {"s"}}}
			answer, _, result, err := serve(t, o, "GET /chat HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: v1, ,v0\r\nSec-WebSocket-Protocol: v2\r\n\r\n\x81\x80early")
			if err != nil {
				t.Fatal(err)
			}
			if answer.StatusCode != 101 || answer.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
				t.Errorf("%v", answer)
			}
			if answer.Header.Get("Sec-WebSocket-Protocol") != "v2" || result.Subprotocol != "v2" {
				t.Errorf("subprotocol %q, %q: the server's preference counts", answer.Header.Get("Sec-WebSocket-Protocol"), result.Subprotocol)
			}
			if answer.Header.Get("X-Server") != "s" {
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
				answer, _, result, err := serve(t, o, "GET / HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: v1\r\n\r\n")
				if err != nil || result.Subprotocol != "" || answer.Header["Sec-Websocket-Protocol"] != nil || result.Early != nil {
					t.Errorf("%v, %+v", err, result)
				}
			}
		})
	}
}

// Every token is a subprotocol's name, and gobwas/ws must read it as we do.
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
		{"an answer that is none", decline(&HandshakeError{Reason: "fine", Status: 200}), get + goodHeader, 403},
		{"bad header of our own", ServerOptions{Header: http.Header{"Upgrade": {"x"}}}, get + goodHeader, 500},
		{"bad subprotocol of our own", ServerOptions{Subprotocols: []string{"a b"}}, get + goodHeader, 500},
	}
	for _, test := range tests {
		for name, serve := range servers {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				answer, body, _, err := serve(t, &test.options, test.request+"\r\n")
				var failed *HandshakeError
				if !errors.As(err, &failed) || failed.Status != test.status || answer.StatusCode != test.status {
					t.Fatalf("answered %d, returned %v; want %d", answer.StatusCode, err, test.status)
				}
				if !strings.Contains(body, failed.Reason) || body != string(failed.Body) {
					t.Errorf("body %q and %q don't both say %q", body, failed.Body, failed.Reason)
				}
				if strings.Contains(body, "secret") {
					t.Errorf("body %q says what is the server's own affair", body)
				}
				if test.status == 426 && (answer.Header.Get("Sec-WebSocket-Version") != "13" || answer.Header.Get("Upgrade") != "websocket") {
					t.Errorf("426 doesn't say what to upgrade to: %v", answer.Header)
				}
				if test.status == 405 && answer.Header.Get("Allow") != "GET" {
					t.Errorf("405 doesn't say what is allowed: %v", answer.Header)
				}
			})
		}
	}
}

func TestAnErrorOfTheApplicationCanBeTheAnswer(t *testing.T) {
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
			answer, body, _, err := serve(t, o, "GET /chat HTTP/1.1\r\n"+goodHeader+"\r\n")
			if answer.StatusCode != 401 || answer.Header.Get("WWW-Authenticate") != "Bearer" || body != "{}" {
				t.Errorf("%v %q", answer, body)
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
		if _, refusal := judge(r, &ServerOptions{Scheme: test.scheme}); (refusal == nil) != test.want {
			t.Errorf("%+v: %v", test, refusal)
		}
	}
	if _, refusal := judge(upgradeRequest(), &ServerOptions{Scheme: "wss"}); refusal == nil || refusal.Status != 500 {
		t.Errorf("a scheme that no page has: %v", refusal)
	}
}

// upgradeRequest is what net/http makes of a proper request.
func upgradeRequest() *http.Request {
	r := httptest.NewRequest("GET", "/", nil)
	for line := range strings.Lines(goodHeader) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.Header.Set(name, value)
	}
	return r
}

func TestAcceptNeedsAConnectionToTakeOver(t *testing.T) {
	w := httptest.NewRecorder()
	_, _, err := Accept(w, upgradeRequest(), nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 500 || w.Code != 500 {
		t.Errorf("%v, answered %d", err, w.Code)
	}
}

func TestAcceptDeclinesHTTP2(t *testing.T) {
	r := upgradeRequest()
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
	w := httptest.NewRecorder()
	_, _, err := Accept(w, r, nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 505 || w.Code != 505 {
		t.Errorf("%v, answered %d", err, w.Code)
	}
}

// hijackable gives away one end of a connection.
type hijackable struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (h hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReader(h.conn), bufio.NewWriter(h.conn)), nil
}

func TestAcceptDoesNotWaitForeverForAClientThatDoesNotRead(t *testing.T) {
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
