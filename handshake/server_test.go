package handshake

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

const (
	testKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	goodHeader = "Host: example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n"
)

// serve runs an HTTP server with Accept, sends it a request and returns its answer.
func serve(t *testing.T, o *ServerOptions, request string) (answer *http.Response, body string, result *Result, err error) {
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
	answer, readErr := http.ReadResponse(bufio.NewReader(conn), nil)
	if readErr != nil {
		t.Fatal(readErr)
	}
	b, _ := io.ReadAll(answer.Body)
	answer.Body.Close()
	<-accepted
	return answer, string(b), result, err
}

func TestAcceptAgrees(t *testing.T) {
	o := &ServerOptions{Subprotocols: []string{"v2", "v1"}, Header: http.Header{"X-Server": {"s"}}}
	answer, _, result, err := serve(t, o, "GET /chat HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: v1, v0\r\nSec-WebSocket-Protocol: v2\r\n\r\n\x81\x80early")
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
	if !strings.Contains(string(result.RawHeader), "Sec-Websocket-Version: 13\r\n") {
		t.Errorf("header lines %q", result.RawHeader)
	}
}

func TestAcceptWithoutACommonSubprotocolAgreesOnNone(t *testing.T) {
	answer, _, result, err := serve(t, &ServerOptions{Subprotocols: []string{"v2"}}, "GET / HTTP/1.1\r\n"+goodHeader+"Sec-WebSocket-Protocol: v1\r\n\r\n")
	if err != nil || result.Subprotocol != "" || answer.Header["Sec-Websocket-Protocol"] != nil || result.Early != nil {
		t.Errorf("%v, %+v", err, result)
	}
}

func TestAcceptDeclines(t *testing.T) {
	without := func(line string) string { return strings.Replace(goodHeader, line+"\r\n", "", 1) }
	replaced := func(old, new string) string { return strings.Replace(goodHeader, old, new, 1) }
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
		{"another version", ServerOptions{}, get + replaced("13", "8"), 426},
		{"no key", ServerOptions{}, get + without("Sec-WebSocket-Key: "+testKey), 400},
		{"key of 15 bytes", ServerOptions{}, get + replaced(testKey, "dGhlIHNhbXBsZSBub25j"), 400},
		{"key that is not base64", ServerOptions{}, get + replaced(testKey, strings.Repeat("!", 24)), 400},
		{"two keys", ServerOptions{}, get + goodHeader + "Sec-WebSocket-Key: " + testKey + "\r\n", 400},
		{"another origin", ServerOptions{}, get + goodHeader + "Origin: https://evil.example\r\n", 403},
		{"origin that is no URL", ServerOptions{}, get + goodHeader + "Origin: ://\r\n", 403},
		{"origin not allowed", ServerOptions{CheckOrigin: func(*http.Request) bool { return false }}, get + goodHeader, 403},
		{"bad header of our own", ServerOptions{Header: http.Header{"Upgrade": {"x"}}}, get + goodHeader, 500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer, body, _, err := serve(t, &test.options, test.request+"\r\n")
			var failed *engine.HandshakeError
			if !errors.As(err, &failed) || failed.Status != test.status || answer.StatusCode != test.status {
				t.Fatalf("answered %d, returned %v; want %d", answer.StatusCode, err, test.status)
			}
			if !strings.Contains(body, failed.Reason) {
				t.Errorf("body %q doesn't say %q", body, failed.Reason)
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

func TestAcceptAllowsOrigins(t *testing.T) {
	for origin, options := range map[string]ServerOptions{
		"http://example.com":   {},
		"https://EXAMPLE.com":  {},
		"https://evil.example": {CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") != "" }},
	} {
		_, _, _, err := serve(t, &options, fmt.Sprintf("GET / HTTP/1.1\r\n%sOrigin: %s\r\n\r\n", goodHeader, origin))
		if err != nil {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestAcceptNeedsAConnectionToTakeOver(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	for line := range strings.Lines(goodHeader) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		r.Header.Set(name, value)
	}
	_, _, err := Accept(httptest.NewRecorder(), r, &ServerOptions{})
	var failed *engine.HandshakeError
	if !errors.As(err, &failed) || failed.Status != 500 {
		t.Errorf("%v", err)
	}
}
