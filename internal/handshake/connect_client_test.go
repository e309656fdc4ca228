package handshake

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/endpoint"
)

func TestFieldsAreThoseOfAnExtendedConnect(t *testing.T) {
	pseudo := func(scheme, path string) []hpack.HeaderField {
		return fieldList(":method", "CONNECT", ":protocol", "websocket", ":scheme", scheme, ":authority", "example.com:8080", ":path", path,
			"sec-websocket-version", "13")
	}
	for name, test := range map[string]struct {
		r         Request
		secure    bool
		want      []hpack.HeaderField
		sensitive []string
	}{
		"the least": {Request{}, false, pseudo("http", "/"), nil},
		"TLS":       {Request{Target: "/chat"}, true, pseudo("https", "/chat"), nil},
		"a query":   {Request{Target: "/?token=x"}, true, pseudo("https", "/?token=x"), []string{":path"}},
		"subprotocols and compression": {
			Request{Subprotocols: []string{"mqtt", "v2"}, Compression: engine.Compression{Level: 1}}, true,
			append(pseudo("https", "/"), fieldList(
				"sec-websocket-protocol", "mqtt, v2",
				"sec-websocket-extensions", offerHeader(engine.Compression{Level: 1}))...), nil,
		},
		"headers, in order and with several values": {
			Request{Header: http.Header{"X-B": {" b\t", "a"}, "X-A": {""}, "TE": {"trailers"}, "x-none": nil}}, true,
			append(pseudo("https", "/"), fieldList("te", "trailers", "x-a", "", "x-b", "b", "x-b", "a")...), nil,
		},
		"credentials": {
			Request{Header: http.Header{"Authorization": {"Bearer x"}, "cookie": {"a=b; c=d"}, "Proxy-Authorization": {"Basic x"}, "User-Agent": {"u"}}}, true,
			append(pseudo("https", "/"), fieldList(
				"authorization", "Bearer x", "cookie", "a=b; c=d", "proxy-authorization", "Basic x", "user-agent", "u")...),
			[]string{"authorization", "cookie", "proxy-authorization"},
		},
	} {
		test.r.Host = "example.com:8080"
		got, err := test.r.Fields(test.secure)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range test.want {
			test.want[i].Sensitive = slices.Contains(test.sensitive, test.want[i].Name)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestFieldsRejectsWhatMustNotBeSent(t *testing.T) {
	header := func(name, value string) Request {
		return Request{Host: "h", Header: http.Header{name: {value}}}
	}
	for name, test := range map[string]struct {
		r    Request
		text string
	}{
		"no host":                     {Request{}, "host"},
		"fragment in the target":      {Request{Host: "h", Target: "/#x"}, "target"},
		"pseudo-header field":         {header(":path", "/"), "header name"},
		"Host set by hand":            {header("host", "x"), "header host is set implicitly"},
		"Connection set by hand":      {header("Connection", "x"), "header Connection"},
		"key set by hand":             {header("Sec-WebSocket-Key", "x"), "header Sec-WebSocket-Key"},
		"body announced":              {header("transfer-encoding", "chunked"), "header transfer-encoding"},
		"Keep-Alive":                  {header("keep-alive", "timeout=5"), "header Keep-Alive can't be sent over HTTP/2"},
		"Proxy-Connection":            {header("Proxy-Connection", "keep-alive"), "header Proxy-Connection can't be sent over HTTP/2"},
		"TE with more than trailers":  {header("TE", "trailers, deflate"), "header TE can't be sent over HTTP/2"},
		"LF in a value":               {header("X", "a\nb"), "value of header X"},
		"subprotocol that is a list":  {Request{Host: "h", Subprotocols: []string{"a,b"}}, "subprotocol"},
		"compression that is invalid": {Request{Host: "h", Compression: engine.Compression{Level: 10}}, "level"},
	} {
		fields, err := test.r.Fields(true)
		if !errors.As(err, new(*HandshakeError)) || !strings.Contains(err.Error(), test.text) || fields != nil {
			t.Errorf("%s: %v, want a HandshakeError that says %q", name, err, test.text)
		}
	}
}

func TestClientAcceptsResponsesOfHTTP2(t *testing.T) {
	r := &Request{Host: "h", Subprotocols: []string{"mqtt"}, Compression: engine.Compression{Level: 1}}
	for name, test := range map[string]struct {
		fields      []hpack.HeaderField
		subprotocol string
		compressed  bool
		lines       string
	}{
		"the least":                {fieldList(":status", "200"), "", false, ""},
		"another status of 2xx":    {fieldList(":status", "299"), "", false, ""},
		"an accept not asked for":  {fieldList(":status", "200", "sec-websocket-accept", "x"), "", false, "Sec-Websocket-Accept: x\r\n"},
		"a subprotocol":            {fieldList(":status", "200", "sec-websocket-protocol", "mqtt"), "mqtt", false, "Sec-Websocket-Protocol: mqtt\r\n"},
		"an empty and another one": {fieldList(":status", "200", "sec-websocket-protocol", "", "sec-websocket-protocol", "mqtt"), "mqtt", false, "Sec-Websocket-Protocol: \r\nSec-Websocket-Protocol: mqtt\r\n"},
		"an extension":             {fieldList(":status", "200", "sec-websocket-extensions", "permessage-deflate; server_no_context_takeover"), "", true, "Sec-Websocket-Extensions: permessage-deflate; server_no_context_takeover\r\n"},
		"headers of the server's":  {fieldList(":status", "200", "server", "s", "set-cookie", "a", "set-cookie", "b", "content-length", "5"), "", false, "Server: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 5\r\n"},
	} {
		result, err := r.CheckResponse(t.Context(), ResponseHead{Fields: test.fields}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if result.Subprotocol != test.subprotocol || result.Compression.IsOff() == test.compressed || string(result.RawHeader) != test.lines || result.Early != nil {
			t.Errorf("%s: %+v with header lines %q", name, result, result.RawHeader)
		}
		if len(result.RawHeader) != cap(result.RawHeader) {
			t.Errorf("%s: %d bytes of memory for %d", name, cap(result.RawHeader), len(result.RawHeader))
		}
	}
}

func TestClientRejectsResponsesOfHTTP2(t *testing.T) {
	tests := []struct {
		name   string
		fields []hpack.HeaderField
		status int
		text   string
	}{
		{"nothing", nil, 0, "not proper HTTP/2: no :status"},
		{"no status", fieldList("server", "s"), 0, "no :status"},
		{"status after another field", fieldList("server", "s", ":status", "200"), 0, "no :status"},
		{"two statuses", fieldList(":status", "200", ":status", "200"), 0, `field name ":status"`},
		{"pseudo-header field of a request", fieldList(":status", "200", ":path", "/"), 0, `field name ":path"`},
		{"status that is no number", fieldList(":status", "2xx"), 0, "no :status"},
		{"status of four digits", fieldList(":status", "2000"), 0, "no :status"},
		{"status with a sign", fieldList(":status", "+20"), 0, "no :status"},
		{"empty status", fieldList(":status", ""), 0, "no :status"},
		{"101", fieldList(":status", "101"), 0, "no :status of a final response"},
		{"capital letters in a name", fieldList(":status", "200", "Server", "s"), 0, `field name "Server"`},
		{"space in a name", fieldList(":status", "200", "a b", "s"), 0, `field name "a b"`},
		{"empty name", fieldList(":status", "200", "", "s"), 0, `field name ""`},
		{"LF in a value", fieldList(":status", "200", "server", "a\nb"), 0, "value of field server"},
		{"space before a value", fieldList(":status", "200", "server", " s"), 0, "value of field server"},
		{"tab after a value", fieldList(":status", "200", "server", "s\t"), 0, "value of field server"},
		{"Connection", fieldList(":status", "200", "connection", "Upgrade"), 200, "header Connection, which HTTP/2 forbids"},
		{"Upgrade", fieldList(":status", "200", "upgrade", "websocket"), 200, "header Upgrade, which HTTP/2 forbids"},
		{"Transfer-Encoding", fieldList(":status", "200", "transfer-encoding", "chunked"), 200, "header Transfer-Encoding, which HTTP/2 forbids"},
		{"subprotocol not asked for", fieldList(":status", "200", "sec-websocket-protocol", "soap"), 200, "subprotocol that was not offered"},
		{"subprotocol in other case", fieldList(":status", "200", "sec-websocket-protocol", "MQTT"), 200, "subprotocol that was not offered"},
		{"two subprotocols", fieldList(":status", "200", "sec-websocket-protocol", "mqtt", "sec-websocket-protocol", "mqtt"), 200, "Protocol is repeated"},
		{"extension not asked for", fieldList(":status", "200", "sec-websocket-extensions", "permessage-deflate"), 200, "extensions that were not offered"},
		{"301", fieldList(":status", "301", "location", "wss://other/"), 301, `redirects to "wss://other/"`},
		{"403", fieldList(":status", "403", "connection", "close"), 403, "the server declines (HTTP status 403)"},
		{"999", fieldList(":status", "999"), 999, "the server declines"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			body := &streamBody{Reader: strings.NewReader("no key")}
			result, err := (&Request{Host: "h", Subprotocols: []string{"mqtt"}}).CheckResponse(t.Context(), ResponseHead{Fields: test.fields}, body)
			var failed *HandshakeError
			if !errors.As(err, &failed) || result != nil {
				t.Fatalf("%+v, %v", result, err)
			}
			if failed.Status != test.status || (failed.Header != nil) != (test.status != 0) {
				t.Errorf("status %d, want %d; header %v", failed.Status, test.status, failed.Header)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("%q doesn't say %q", err, test.text)
			}
			if want := map[bool]string{true: "no key"}[test.status >= 300]; string(failed.Body) != want {
				t.Errorf("body %q, want %q", failed.Body, want)
			}
			if body.closed {
				t.Error("the stream was closed")
			}
		})
	}
}

func TestAServerThatAgreesMustNotEndTheStream(t *testing.T) {
	_, err := (&Request{Host: "h"}).CheckResponse(t.Context(), ResponseHead{Fields: fieldList(":status", "200"), EndStream: true}, nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 200 || !strings.Contains(err.Error(), "ends the stream") {
		t.Error(err)
	}
}

func TestARefusalOverHTTP2MayHaveNoBody(t *testing.T) {
	_, err := (&Request{Host: "h"}).CheckResponse(t.Context(), ResponseHead{Fields: fieldList(":status", "403"), EndStream: true}, nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 403 || failed.Body != nil {
		t.Error(err)
	}
}

func TestOnlyTheStartOfABodyOfHTTP2IsRead(t *testing.T) {
	body := strings.NewReader(strings.Repeat("b", 5000))
	_, err := (&Request{Host: "h"}).CheckResponse(t.Context(), ResponseHead{Fields: fieldList(":status", "503")}, &streamBody{Reader: body})
	var failed *HandshakeError
	if !errors.As(err, &failed) || string(failed.Body) != strings.Repeat("b", bodySize) {
		t.Errorf("%v with a body of %d bytes", err, len(failed.Body))
	}
}

func TestClientWaitsBrieflyForABodyOfHTTP2(t *testing.T) {
	for name, test := range map[string]struct {
		timeout, want time.Duration
		deadlines     bool
	}{
		"deadlines":         {time.Hour, bodyTimeout, true},
		"a context sooner":  {bodyTimeout / 5, bodyTimeout / 5, true},
		"without deadlines": {time.Hour, bodyTimeout, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.timeout)
				defer cancel()
				started := time.Now()
				client, server := net.Pipe()
				go io.WriteString(server, "first")
				body := ResponseBody(client)
				if !test.deadlines {
					body = &streamBody{Reader: client, Closer: client}
				}
				_, err := (&Request{Host: "h"}).CheckResponse(ctx, ResponseHead{Fields: fieldList(":status", "503")}, body)
				var failed *HandshakeError
				if !errors.As(err, &failed) || failed.Status != 503 || string(failed.Body) != "first" {
					t.Errorf("%v, body %q", err, failed.Body)
				}
				if d := time.Since(started); d != test.want {
					t.Errorf("it took %v, want %v", d, test.want)
				}
				client.Close()
			})
		})
	}
}

func TestTheSizeOfResponsesOfHTTP2IsLimited(t *testing.T) {
	fields := fieldList(":status", "200", "server", "s") // 42 and 39 bytes
	for name, test := range map[string]struct {
		maxSize   int
		truncated bool
		want      int64 // 0: not too large
	}{
		"as large as the limit": {81, false, 0},
		"above the limit":       {80, false, 80},
		"the default":           {0, false, 0},
		"no limit":              {-1, false, 0},
		"cut by the session":    {1000, true, 1000},
		"cut, without a limit":  {-1, true, DefaultMaxSize},
	} {
		_, err := (&Request{Host: "h", MaxSize: test.maxSize}).CheckResponse(t.Context(), ResponseHead{Fields: fields, Truncated: test.truncated}, nil)
		var limit *engine.LimitError
		switch {
		case test.want == 0 && err != nil:
			t.Errorf("%s: %v", name, err)
		case test.want == 0:
		case !errors.As(err, new(*HandshakeError)) || !errors.As(err, &limit) ||
			*limit != engine.LimitError{Limit: "HandshakeSize", Max: test.want, Code: engine.ClosePolicyViolation}:
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARedirectOverHTTP2HasATarget(t *testing.T) {
	_, err := (&Request{Host: "h"}).CheckResponse(t.Context(), ResponseHead{Fields: fieldList(":status", "307", "location", "/there"), EndStream: true}, nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) {
		t.Fatal(err)
	}
	from, _ := endpoint.Parse("wss://example.com/")
	if to, err := RedirectTarget(&from, failed); err != nil || to.URL().String() != "wss://example.com/there" {
		t.Errorf("%v, %v", to, err)
	}
}

func TestAStreamWithoutAResponseIsAHandshakeError(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		ctx  context.Context
		err  error
		want []error
		text string
	}{
		{t.Context(), io.ErrUnexpectedEOF, []error{io.ErrUnexpectedEOF}, "ended before"},
		{t.Context(), io.ErrClosedPipe, []error{io.ErrClosedPipe}, "the response did not come"},
		{t.Context(), os.ErrDeadlineExceeded, []error{os.ErrDeadlineExceeded, context.DeadlineExceeded}, "did not come"},
		{ended, io.ErrClosedPipe, []error{io.ErrClosedPipe, context.Canceled}, "did not come"},
	} {
		failed := NoResponse(test.ctx, test.err)
		for _, want := range test.want {
			if !errors.Is(failed, want) || !strings.Contains(failed.Error(), test.text) {
				t.Errorf("%v: %v", test.err, failed)
			}
		}
	}
}

func TestClientAndServerAgreeOverHTTP2(t *testing.T) {
	if !servedByNetHTTP(t) {
		return
	}
	var served *Result
	done := make(chan struct{})
	client := serveH2(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		conn, result, err := Accept(w, r, &ServerOptions{
			Subprotocols: []string{"v2"}, Compression: engine.DefaultCompression, Header: http.Header{"X-Server": {"s"}},
		})
		if err != nil {
			t.Error(err)
			return
		}
		served = result
		conn.Close()
	})
	r := &Request{
		Host: "example.com", Target: "/chat?room=1", Header: http.Header{"X-Client": {"c"}},
		Subprotocols: []string{"v1", "v2"}, Compression: engine.DefaultCompression,
	}
	fields, err := r.Fields(false)
	if err != nil {
		t.Fatal(err)
	}
	client.open(fields)
	head, ok := client.next().(*http2.MetaHeadersFrame)
	if !ok {
		t.Fatal("no response")
	}
	result, err := r.CheckResponse(t.Context(), ResponseHead{Fields: head.Fields, EndStream: head.StreamEnded(), Truncated: head.Truncated}, nil)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	if result.Subprotocol != "v2" || served.Subprotocol != "v2" {
		t.Errorf("subprotocols %q and %q", result.Subprotocol, served.Subprotocol)
	}
	if result.Compression.IsOff() || result.Compression.SendWindowBits != served.Compression.RecvWindowBits {
		t.Errorf("compression %+v and %+v", result.Compression, served.Compression)
	}
	if !strings.Contains(string(result.RawHeader), "X-Server: s\r\n") {
		t.Errorf("header lines %q", result.RawHeader)
	}
	if lines := string(served.RawHeader); !strings.HasPrefix(lines, "Host: example.com\r\n") || !strings.Contains(lines, "X-Client: c\r\n") || strings.Contains(lines, ":protocol") {
		t.Errorf("header lines %q", lines)
	}
}
