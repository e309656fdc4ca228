package handshake

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/leak"
)

func TestMain(m *testing.M) { leak.VerifyTestMain(m) }

func TestCheckRejectsWhatMustNotBeSent(t *testing.T) {
	header := func(name, value string) Request {
		return Request{Host: "h", Header: http.Header{name: {value}}}
	}
	tests := []struct {
		name string
		r    Request
		text string
	}{
		{"Host set by hand", header("Host", "x"), "header Host is set implicitly"},
		{"Upgrade set by hand", header("upgrade", "x"), "header upgrade is set implicitly"},
		{"Connection set by hand", header("Connection", "x"), "header Connection"},
		{"key set by hand", header("Sec-WebSocket-Key", "x"), "header Sec-WebSocket-Key"},
		{"subprotocol set by hand", header("sec-websocket-protocol", "x"), "header sec-websocket-protocol"},
		{"body announced", header("Content-Length", "5"), "header Content-Length"},
		{"CR in a value", header("X", "a\rb"), "value of header X"},
		{"LF in a value", header("X", "a\nEvil: 1"), "value of header X"},
		{"NUL in a value", header("X", "a\x00"), "value of header X"},
		{"LF in a name", header("X\nEvil", "1"), "header name"},
		{"colon in a name", header("X:", "1"), "header name"},
		{"empty name", header("", "1"), "header name"},
		{"no host", Request{}, "host"},
		{"CR LF in the host", Request{Host: "h\r\nEvil: 1"}, "host"},
		{"path in the host", Request{Host: "h/x"}, "host"},
		{"LF in the target", Request{Host: "h", Target: "/\nx"}, "target"},
		{"space in the target", Request{Host: "h", Target: "/a b"}, "target"},
		{"fragment in the target", Request{Host: "h", Target: "/#x"}, "target"},
		{"target that is no path", Request{Host: "h", Target: "x"}, "target"},
		{"bad escape in the target", Request{Host: "h", Target: "/%zz"}, "target"},
		{"subprotocol with a comma", Request{Host: "h", Subprotocols: []string{"a,b"}}, "subprotocol"},
		{"empty subprotocol", Request{Host: "h", Subprotocols: []string{""}}, "subprotocol"},
		{"subprotocol twice", Request{Host: "h", Subprotocols: []string{"a", "a"}}, "repeated"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := test.r.Check()
			if !errors.As(err, new(*HandshakeError)) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want a HandshakeError that says %q", err, test.text)
			}
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("%q repeats control characters", err)
			}
		})
	}
}

func TestClientRejectsABadTarget(t *testing.T) {
	if _, err := Client(t.Context(), nil, &Request{Host: "h", Target: "\n"}); !errors.As(err, new(*HandshakeError)) {
		t.Error(err)
	}
}

func TestCheckAllowsOrdinaryRequests(t *testing.T) {
	for _, r := range []Request{
		{Host: "h"},
		{Host: "[::1]:80", Target: "//double?q=%2F;x"},
		{Host: "h", Header: http.Header{"Origin": {"https://x"}, "Cookie": {"a=b; c=d"}, "User-Agent": {"x/1 (y)"}}},
		{Host: "h", Subprotocols: []string{"mqtt", "v2.chat"}},
	} {
		if err := r.Check(); err != nil {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestClientSendsAProperRequest(t *testing.T) {
	r := &Request{
		Host:         "example.com:8080",
		Target:       "/chat?room=1&x=%20",
		Header:       http.Header{"Authorization": {"Bearer token"}, "X-Two": {"a", "b"}},
		Subprotocols: []string{"mqtt", "chat.v2"},
	}
	if err := r.Check(); err != nil {
		t.Fatal(err)
	}
	var got *http.Request
	result, err := handshakeWith(t, t.Context(), r, func(conn net.Conn, request *http.Request) {
		got = request
		replies(strings.Replace(agreed, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: chat.v2\r\n\r\n", 1), 1000)(conn, request)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "GET" || got.Proto != "HTTP/1.1" || got.Host != r.Host || got.RequestURI != r.Target {
		t.Errorf("%s %s %s, Host %s", got.Method, got.RequestURI, got.Proto, got.Host)
	}
	for name, want := range map[string]string{
		"Upgrade": "websocket", "Connection": "Upgrade", "Sec-Websocket-Version": "13",
		"Authorization": "Bearer token", "X-Two": "a,b", "Sec-Websocket-Protocol": "mqtt, chat.v2",
	} {
		if v := strings.Join(got.Header[name], ","); v != want {
			t.Errorf("header %s: %q, want %q", name, v, want)
		}
	}
	if key, err := base64.StdEncoding.DecodeString(got.Header.Get("Sec-WebSocket-Key")); len(key) != 16 || err != nil {
		t.Errorf("key of %d bytes, %v", len(key), err)
	}
	if result.Subprotocol != "chat.v2" {
		t.Errorf("subprotocol %q", result.Subprotocol)
	}
	if !strings.HasPrefix(string(result.RawHeader), "Upgrade: websocket\r\nConnection") || !strings.HasSuffix(string(result.RawHeader), "chat.v2\r\n") {
		t.Errorf("header lines %q", result.RawHeader)
	}
}

func TestBytesAfterTheResponseAreKept(t *testing.T) {
	frames := "\x81\x05Hello\x81\x06\r\n\r\n\r\n"
	for size := 1; size < len(agreed)+len(frames)+30; size++ {
		r := &Request{Host: "h"}
		client, server := net.Pipe()
		go func() {
			request, err := http.ReadRequest(bufio.NewReader(server))
			if err != nil {
				t.Error(err)
				return
			}
			replies(agreed+frames, size)(server, request)
			server.Close()
		}()
		result, err := Client(t.Context(), client, r)
		if err != nil {
			t.Fatalf("pieces of %d: %v", size, err)
		}
		rest, err := io.ReadAll(client)
		if got := string(result.Early) + string(rest); got != frames || err != nil {
			t.Fatalf("pieces of %d: %q, %v", size, got, err)
		}
		if result.Early != nil && len(result.Early) == 0 {
			t.Fatal("no early bytes, but not nil")
		}
	}
}

func TestResponsesMayArriveInPieces(t *testing.T) {
	frames := "\x81\x05Hello\x8a\x00"
	for _, response := range []string{agreed, strings.ReplaceAll(agreed, "\r\n", "\n")} {
		whole := len(response) - len("ACCEPT") + len(acceptFor("")) + len(frames)
		for cut := range whole {
			script := &scripted{response: response + frames, cut: cut}
			result, err := Client(t.Context(), script, &Request{Host: "h"})
			if err != nil {
				t.Fatalf("cut at %d: %v", cut, err)
			}
			if got := string(result.Early) + script.unread(); got != frames {
				t.Fatalf("cut at %d: %q", cut, got)
			}
			if want := strings.Count(response, "\n") - 2; strings.Count(string(result.RawHeader), "\n") != want {
				t.Fatalf("cut at %d: header lines %q", cut, result.RawHeader)
			}
		}
	}
}

func TestClientAcceptsWhatTheRFCAllows(t *testing.T) {
	for name, response := range map[string]string{
		"other tokens beside Upgrade":   strings.Replace(agreed, "Connection: Upgrade", "Connection: keep-alive, upgrade", 1),
		"Connection in two lines":       strings.Replace(agreed, "Connection: Upgrade", "connection: keep-alive\r\nconnection: Upgrade", 1),
		"names and values in any case":  "HTTP/1.1 101 x\r\nUPGRADE: WebSocket\r\nCONNECTION: UPGRADE\r\nsec-websocket-accept: ACCEPT\r\n\r\n",
		"no reason phrase":              strings.Replace(agreed, "101 Switching Protocols", "101 ", 1),
		"a header of the server's own":  strings.Replace(agreed, "Upgrade:", "Server: x\r\nUpgrade:", 1),
		"white space around the values": strings.Replace(agreed, ": ", ":\t ", -1),
		"no reason phrase, no space":    strings.Replace(agreed, "101 Switching Protocols", "101", 1),
		"lines that end in a bare LF":   strings.ReplaceAll(agreed, "\r\n", "\n"),
		"a folded line":                 strings.Replace(agreed, "Upgrade:", "Server: a\r\n b\r\nUpgrade:", 1),
		"a later HTTP/1":                strings.Replace(agreed, "HTTP/1.1", "HTTP/1.2", 1),
		"interim responses first":       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + agreed,
		"a length that means nothing":   strings.Replace(agreed, "Upgrade:", "Content-Length: 5\r\nUpgrade:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := handshakeWith(t, t.Context(), &Request{Host: "h"}, replies(response, 7)); err != nil {
				t.Error(err)
			}
		})
	}
}

// bodyHeaders are headers about a body, for messages without one.
var bodyHeaders = []string{
	"Content-Length: 5", "Content-Length: 0", "Content-Length: -1", "Content-Length: 1\r\nContent-Length: 2",
	"Content-Length: 99999999999999999999", "Content-Length:", "Content-Length: x", "Content-Length: 1,\r\n 2",
	"Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Transfer-Encoding: xyz", "Transfer-Encoding:",
	"Transfer-Encoding: chunked, gzip", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
	"Transfer-Encoding: chunked\r\nContent-Length: 5", "Trailer: Content-Length",
}

func TestHeadersAboutABodyAreIgnoredInResponsesWithoutOne(t *testing.T) {
	const frame = "\x81\x05Hello"
	for _, line := range bodyHeaders {
		response := strings.Replace(agreed, "Upgrade:", line+"\r\nUpgrade:", 1)
		interim := "HTTP/1.1 103 Early Hints\r\n" + line + "\r\n\r\n"
		script := &scripted{response: interim + response + frame}
		result, err := Client(t.Context(), script, &Request{Host: "h"})
		if err != nil {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if got := string(result.Early) + script.unread(); got != frame {
			t.Errorf("%q: the frames are %q", line, got)
		}
	}
}

func TestARefusalWhoseBodyHasNoValidLengthIsStillARefusal(t *testing.T) {
	for _, line := range []string{"Content-Length: -1", "Content-Length: 1\r\nContent-Length: 2", "Transfer-Encoding: xyz"} {
		_, err := handshakeWith(t, t.Context(), &Request{Host: "h"}, replies("HTTP/1.1 403 Forbidden\r\nX-Own: o\r\n"+line+"\r\n\r\nno", 1<<20))
		var failed *HandshakeError
		if !errors.As(err, &failed) || failed.Status != 403 || failed.Header.Get("X-Own") != "o" {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestEmptyHeadersOfAResponseAreIgnored(t *testing.T) {
	for _, lines := range []string{
		"Sec-WebSocket-Protocol:", "Sec-WebSocket-Protocol: \t ", "Sec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol:",
		"Sec-WebSocket-Extensions:", "Sec-WebSocket-Extensions: ", "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: ,",
		"Sec-WebSocket-Protocol:\r\nSec-WebSocket-Extensions:",
	} {
		for _, r := range []*Request{
			{Host: "h"},
			{Host: "h", Subprotocols: []string{"mqtt"}, Compression: engine.DefaultCompression},
		} {
			result, err := handshakeWith(t, t.Context(), r, replies(strings.Replace(agreed, "\r\n\r\n", "\r\n"+lines+"\r\n\r\n", 1), 1<<20))
			if err != nil {
				t.Errorf("%q: %v", lines, err)
				continue
			}
			if result.Subprotocol != "" || !result.Compression.IsOff() {
				t.Errorf("%q: %+v", lines, result)
			}
		}
	}
	result, err := handshakeWith(t, t.Context(), &Request{Host: "h", Subprotocols: []string{"mqtt"}},
		replies(strings.Replace(agreed, "\r\n\r\n", "\r\nSec-WebSocket-Protocol:\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", 1), 1<<20))
	if err != nil || result.Subprotocol != "mqtt" {
		t.Errorf("an empty header and another one: %+v, %v", result, err)
	}
}

func TestClientRejectsResponses(t *testing.T) {
	without := func(line string) string { return strings.Replace(agreed, line+"\r\n", "", 1) }
	with := func(line string) string { return strings.Replace(agreed, "\r\n\r\n", "\r\n"+line+"\r\n\r\n", 1) }
	tests := []struct {
		name     string
		response string
		status   int
		cause    error
		text     string
	}{
		{"401", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 6\r\n\r\nno key", 401, nil, "declines (HTTP status 401)"},
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, nil, "403"},
		{"404, chunked", "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nno key\r\n0\r\n\r\n", 404, nil, "404"},
		{"426", "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8\r\n\r\n", 426, nil, "426"},
		{"301", "HTTP/1.1 301 Moved\r\nLocation: ws://other/\r\n\r\n", 301, nil, "redirects"},
		{"307", "HTTP/1.1 307 Moved\r\nLocation: /there\r\n\r\n", 307, nil, "307"},
		{"200", "HTTP/1.1 200 OK\r\n\r\n<html>", 200, nil, "200"},
		{"500 over HTTP/1.0", "HTTP/1.0 500 Oops\r\n\r\n", 500, nil, "500"},
		{"101 over HTTP/1.0", strings.Replace(agreed, "1.1", "1.0", 1), 101, nil, "not HTTP/1.1"},
		{"wrong Accept", strings.Replace(agreed, "ACCEPT", acceptFor("x"), 1), 101, nil, "Sec-WebSocket-Accept is missing"},
		{"no Accept", without("Sec-WebSocket-Accept: ACCEPT"), 101, nil, "Sec-WebSocket-Accept is missing"},
		{"two Accepts", with("Sec-WebSocket-Accept: ACCEPT"), 101, nil, "Accept is repeated"},
		{"no Upgrade", without("Upgrade: websocket"), 101, nil, "Upgrade is missing or not"},
		{"another Upgrade", strings.Replace(agreed, "websocket", "h2c", 1), 101, nil, "Upgrade is missing or not"},
		{"no Connection", without("Connection: Upgrade"), 101, nil, "Connection is missing"},
		{"another Connection", strings.Replace(agreed, "Connection: Upgrade", "Connection: close", 1), 101, nil, "Connection is missing"},
		{"subprotocol not asked for", with("Sec-WebSocket-Protocol: soap"), 101, nil, "subprotocol that was not offered"},
		{"two subprotocols", with("Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: mqtt"), 101, nil, "Protocol is repeated"},
		{"extension not asked for", with("Sec-WebSocket-Extensions: permessage-deflate"), 101, nil, "permessage-deflate"},
		{"nothing", "", 0, io.ErrUnexpectedEOF, "ended before"},
		{"end within the status line", "HTTP/1.", 0, io.ErrUnexpectedEOF, "ended before"},
		{"end within the header", agreed[:60], 0, io.ErrUnexpectedEOF, "ended before"},
		{"status 000", "HTTP/1.1 000 x\r\n\r\n", 0, nil, "not proper HTTP"},
		{"another protocol", "SSH-2.0-x\r\n", 0, nil, "not HTTP"},
		{"a status line that is none", "HTTP/1.1\r\n\r\n", 0, nil, "not proper HTTP"},
		{"Accept in a folded line", strings.Replace(agreed, "Sec-WebSocket-Accept", "X: y\r\n Sec-WebSocket-Accept", 1), 101, nil, "Sec-WebSocket-Accept is missing"},
		{"space after a name", strings.Replace(agreed, "Accept:", "Accept :", 1), 0, nil, "not proper HTTP"},
		{"extension behind a space", with("Sec-WebSocket-Extensions : x"), 0, nil, "not proper HTTP"},
		{"Upgrade that Unicode takes for websocket", strings.Replace(agreed, "websocket", "web\u017focket", 1), 101, nil, "Upgrade is missing or not"},
		{"two tokens in Upgrade", strings.Replace(agreed, "websocket", "websocket, h2c", 1), 101, nil, "Upgrade is missing or not"},
		{"two Upgrades", with("Upgrade: websocket"), 101, nil, "Upgrade is repeated"},
		{"two subprotocols in a line", with("Sec-WebSocket-Protocol: mqtt, mqtt"), 101, nil, "not offered"},
		{"subprotocol in other case", with("Sec-WebSocket-Protocol: MQTT"), 101, nil, "not offered"},
		{"NUL in a value", with("X: a\x00b"), 0, nil, "not proper HTTP"},
		{"lone CR in a value", with("X: a\rb"), 0, nil, "not proper HTTP"},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", 304, nil, "declines"},
		{"interim response only", "HTTP/1.1 103 Early Hints\r\n\r\n", 0, io.ErrUnexpectedEOF, "ended before"},
		{"a header line that is none", strings.Replace(agreed, "Upgrade:", "Upgrade", 1), 0, nil, "not proper HTTP"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := handshakeWith(t, t.Context(), &Request{Host: "h", Subprotocols: []string{"mqtt"}}, replies(test.response, 1<<20))
			var failed *HandshakeError
			if !errors.As(err, &failed) {
				t.Fatalf("%v is no HandshakeError", err)
			}
			if failed.Status != test.status || (failed.Header != nil) != (test.status != 0) {
				t.Errorf("status %d, want %d; header %v", failed.Status, test.status, failed.Header)
			}
			if test.cause != nil && !errors.Is(err, test.cause) {
				t.Errorf("%v, want %v", err, test.cause)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("%q doesn't say %q", err, test.text)
			}
			if body := string(failed.Body); strings.Contains(test.response, "no key") && body != "no key" {
				t.Errorf("body %q", body)
			}
		})
	}
}

func TestTheBodyOfARefusalEndsWhereItsHeaderSays(t *testing.T) {
	for header, want := range map[string]string{
		"HTTP/1.1 403 x":                                                 "2\r\nab\r\n0\r\n\r\nmore",
		"HTTP/1.1 403 x\r\nContent-Length: 5":                            "2\r\nab",
		"HTTP/1.1 403 x\r\nContent-Length: 1\r\nContent-Length: 1":       "2",
		"HTTP/1.1 403 x\r\nContent-Length: 100":                          "2\r\nab\r\n0\r\n\r\nmore",
		"HTTP/1.1 403 x\r\nTransfer-Encoding: Chunked":                   "ab",
		"HTTP/1.1 204 x":                                                 "",
		"HTTP/1.1 304 x\r\nContent-Length: 5":                            "",
		"HTTP/1.1 101 x\r\nContent-Length: 5":                            "",
		"HTTP/1.1 403 x\r\nContent-Length: 1\r\nContent-Length: 2":       "",
		"HTTP/1.1 403 x\r\nContent-Length: 99999999999999999999":         "",
		"HTTP/1.1 403 x\r\nContent-Length: -1":                           "",
		"HTTP/1.1 403 x\r\nTransfer-Encoding: gzip, chunked":             "",
		"HTTP/1.1 403 x\r\nTransfer-Encoding: gzip\r\nContent-Length: 5": "",
	} {
		_, err := Client(t.Context(), &scripted{response: header + "\r\n\r\n2\r\nab\r\n0\r\n\r\nmore"}, &Request{Host: "h"})
		var failed *HandshakeError
		if !errors.As(err, &failed) || string(failed.Body) != want {
			t.Errorf("%q: %v, body %q, want %q", header, err, failed.Body, want)
		}
	}
}

func TestOnlyTheStartOfARefusalsBodyIsKept(t *testing.T) {
	_, err := handshakeWith(t, t.Context(), &Request{Host: "h"}, replies("HTTP/1.1 503 Busy\r\n\r\n"+strings.Repeat("b", 5000), 1<<20))
	var failed *HandshakeError
	if !errors.As(err, &failed) || string(failed.Body) != strings.Repeat("b", bodySize) {
		t.Errorf("%v with a body of %d bytes", err, len(failed.Body))
	}
}

func TestARefusalsHeaderReachesTheCaller(t *testing.T) {
	_, err := handshakeWith(t, t.Context(), &Request{Host: "h"}, replies("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", 1))
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Header.Get("WWW-Authenticate") != "Basic" {
		t.Errorf("%+v", err)
	}
}

func TestClientWaitsBrieflyForTheBodyOfARefusal(t *testing.T) {
	for name, test := range map[string]struct{ timeout, want time.Duration }{
		"no deadline":       {0, bodyTimeout},
		"deadline later":    {time.Hour, bodyTimeout},
		"deadline sooner":   {bodyTimeout / 5, bodyTimeout / 5},
		"a canceled caller": {-1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				if test.timeout > 0 {
					ctx, cancel = context.WithTimeout(ctx, test.timeout)
				}
				defer cancel()
				started := time.Now()
				_, err := handshakeWith(t, ctx, &Request{Host: "h"}, func(conn net.Conn, r *http.Request) {
					if test.timeout < 0 {
						time.AfterFunc(0, cancel)
					}
					stalled(conn, r)
				})
				var failed *HandshakeError
				if !errors.As(err, &failed) {
					t.Fatal(err)
				}
				if test.timeout >= 0 && (failed.Status != 503 || string(failed.Body) != "first") {
					t.Errorf("%v, body %q", err, failed.Body)
				}
				if d := time.Since(started); d != test.want {
					t.Errorf("it took %v, want %v", d, test.want)
				}
			})
		})
	}
}

func TestTheSizeOfResponsesIsLimited(t *testing.T) {
	endless := func(conn net.Conn, _ *http.Request) {
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n")
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(conn, "X-%d: %s\r\n", i, strings.Repeat("x", 1000)); err != nil {
				return
			}
		}
	}
	for size, want := range map[int]int64{0: DefaultMaxSize, 100: 100, 5000: 5000} {
		_, err := handshakeWith(t, t.Context(), &Request{Host: "h", MaxSize: size}, endless)
		var limit *engine.LimitError
		if !errors.As(err, &limit) || *limit != (engine.LimitError{Limit: "HandshakeSize", Max: want, Code: engine.ClosePolicyViolation}) {
			t.Errorf("MaxSize %d: %v", size, err)
		}
	}
}

func TestAResponseMayBeAsLargeAsTheLimit(t *testing.T) {
	size := len(agreed) - len("ACCEPT") + len(acceptFor(""))
	for _, pieces := range []int{1, 1000} {
		if _, err := handshakeWith(t, t.Context(), &Request{Host: "h", MaxSize: size}, replies(agreed, pieces)); err != nil {
			t.Error(err)
		}
		if _, err := handshakeWith(t, t.Context(), &Request{Host: "h", MaxSize: size - 1}, replies(agreed, pieces)); !errors.As(err, new(*engine.LimitError)) {
			t.Error(err)
		}
		if _, err := handshakeWith(t, t.Context(), &Request{Host: "h", MaxSize: -1}, replies(agreed, pieces)); err != nil {
			t.Error(err)
		}
	}
}

func TestTheSizeOfInterimResponsesIsLimited(t *testing.T) {
	interim := "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
	_, err := handshakeWith(t, t.Context(), &Request{Host: "h", MaxSize: 1000}, replies(strings.Repeat(interim, 100), 1<<20))
	if !errors.As(err, new(*engine.LimitError)) {
		t.Error(err)
	}
}

func TestClientEndsWithItsContext(t *testing.T) {
	drip := func(conn net.Conn, _ *http.Request) {
		for _, b := range []byte(strings.Repeat(agreed, 10)) {
			if _, err := conn.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	silent := func(conn net.Conn, _ *http.Request) { io.Copy(io.Discard, conn) }
	for name, response := range map[string]func(net.Conn, *http.Request){"slow drip": drip, "silent server": silent} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				started := time.Now()
				timeout, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := handshakeWith(t, timeout, &Request{Host: "h"}, response)
				if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("timeout: %v", err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				_, err = handshakeWith(t, ctx, &Request{Host: "h"}, response)
				if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.Canceled) {
					t.Errorf("cancellation: %v", err)
				}
				if d := time.Since(started); d > 2100*time.Millisecond {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

func TestTheContextEndsHandshakesOnConnsWithoutDeadlines(t *testing.T) {
	for name, run := range map[string]func(context.Context, net.Conn) error{
		"Client": func(ctx context.Context, conn net.Conn) error {
			_, err := Client(ctx, conn, &Request{Host: "h"})
			return err
		},
		"Tunnel": func(ctx context.Context, conn net.Conn) error {
			return Tunnel(ctx, conn, &TunnelRequest{Target: "h:80"})
		},
		"ServerConn": func(ctx context.Context, conn net.Conn) error {
			_, _, err := ServerConn(ctx, conn, nil)
			return err
		},
	} {
		for _, reads := range []bool{false, true} {
			client, server := net.Pipe()
			if reads {
				go io.Copy(io.Discard, server)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			if err := run(ctx, noDeadlines{client}); !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
			cancel()
			server.Close()
		}
	}
}

func TestClientEndsWithItsContextWhenTheRequestIsNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		client, server := net.Pipe()
		defer server.Close()
		_, err := Client(ctx, client, &Request{Host: "h"})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "request can't be sent") {
			t.Error(err)
		}
	})
}

func TestATimeoutCountsAsTheEndOfTheContext(t *testing.T) {
	if err := withCtxErr(t.Context(), os.ErrDeadlineExceeded); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := withCtxErr(t.Context(), io.EOF); err != io.EOF {
		t.Error(err)
	}
}

func TestClientFailsIfItsContextEndsWithTheLastByte(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Client(ctx, cancelsOnRead{&scripted{response: agreed}, cancel}, &Request{Host: "h"})
	if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClientLeavesNoDeadlineBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		client, server := net.Pipe()
		defer client.Close()
		go func() {
			defer server.Close()
			request, err := http.ReadRequest(bufio.NewReader(server))
			if err != nil {
				t.Error(err)
				return
			}
			replies(agreed, 1000)(server, request)
			time.Sleep(time.Minute)
			io.WriteString(server, "late")
		}()
		if _, err := Client(ctx, client, &Request{Host: "h"}); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(client); string(got) != "late" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}
