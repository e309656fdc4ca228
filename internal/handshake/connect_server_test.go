package handshake

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

func TestAcceptStreamAnswersAnExtendedConnect(t *testing.T) {
	r := connectRequest()
	r.Header.Set("Sec-WebSocket-Protocol", "v1, v2")
	r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
	r.Header.Set("Cookie", "a=b")
	w := &streamWriter{ResponseRecorder: httptest.NewRecorder()}
	w.Header().Set("X-Middleware", "m")
	w.Header().Set("Content-Length", "5")
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("Connection", "close")
	w.Header().Set("Sec-WebSocket-Accept", "x")
	stream, result, err := AcceptStream(w, w, r, &ServerOptions{
		Subprotocols: []string{"v2", "v1"},
		Compression:  engine.DefaultCompression,
		Header:       http.Header{"x-own": {"o", "p"}},
	})
	if err != nil || stream != "stream" || w.status != 200 {
		t.Fatalf("%q, status %d, %v", stream, w.status, err)
	}
	checkHeaderIs(t, w.header, map[string]string{
		"X-Middleware": "m", "X-Own": "o,p", "Sec-Websocket-Protocol": "v2", "Sec-Websocket-Extensions": "permessage-deflate; client_max_window_bits=11",
	})
	if result.Subprotocol != "v2" || result.Compression.IsOff() || result.Early != nil {
		t.Errorf("%+v", result)
	}
	lines := strings.Split(strings.TrimSuffix(string(result.RawHeader), "\r\n"), "\r\n")
	if lines[0] != "Host: example.com" || lines[1] != "Cookie: a=b" || len(lines) != 5 {
		t.Errorf("header lines %q, want Host, Cookie and Sec-WebSocket-*", lines)
	}
}

func TestAKeyIsAnsweredOverHTTP2IfItIsValid(t *testing.T) {
	for name, test := range map[string]struct {
		keys []string
		want string
	}{
		"none":        {nil, ""},
		"a valid key": {[]string{testKey}, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
		"no key":      {[]string{"x"}, ""},
		"two keys":    {[]string{testKey, testKey}, ""},
	} {
		r := connectRequest()
		r.Header["Sec-Websocket-Key"] = test.keys
		w := &streamWriter{ResponseRecorder: httptest.NewRecorder()}
		if _, _, err := AcceptStream(w, w, r, nil); err != nil || w.header.Get("Sec-WebSocket-Accept") != test.want {
			t.Errorf("%s: %v, %v", name, w.header, err)
		}
	}
}

func TestServersDeclineOverHTTP2(t *testing.T) {
	with := func(name string, values ...string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = values }
	}
	valid := func(*http.Request) {}
	tests := []struct {
		name    string
		options ServerOptions
		change  func(r *http.Request)
		status  int
	}{
		{"GET", ServerOptions{}, func(r *http.Request) { r.Method = "GET"; delete(r.Header, ":protocol") }, 405},
		{"GET with :protocol", ServerOptions{}, func(r *http.Request) { r.Method = "GET" }, 405},
		{"CONNECT to a proxy", ServerOptions{}, func(r *http.Request) { r.RequestURI = r.Host; delete(r.Header, ":protocol") }, 501},
		{"another protocol", ServerOptions{}, with(":protocol", "connect-udp"), 501},
		{"protocol in other case", ServerOptions{}, with(":protocol", "WebSocket"), 501},
		{"a list of protocols", ServerOptions{}, with(":protocol", "x, websocket"), 501},
		{"two protocols", ServerOptions{}, with(":protocol", "websocket", "websocket"), 501},
		{"asterisk for a path", ServerOptions{}, func(r *http.Request) { r.RequestURI = "*" }, 400},
		{"URL for a path", ServerOptions{}, func(r *http.Request) { r.RequestURI = "http://example.com/" }, 400},
		{"no authority", ServerOptions{}, func(r *http.Request) { r.Host = "" }, 400},
		{"malformed authority", ServerOptions{}, func(r *http.Request) { r.Host = "a/b" }, 400},
		{"Upgrade", ServerOptions{}, with("Upgrade", "websocket"), 400},
		{"Connection", ServerOptions{}, with("Connection", "Upgrade"), 400},
		{"Keep-Alive", ServerOptions{}, with("Keep-Alive", "timeout=5"), 400},
		{"Proxy-Connection", ServerOptions{}, with("Proxy-Connection", "keep-alive"), 400},
		{"Transfer-Encoding", ServerOptions{}, with("Transfer-Encoding", "chunked"), 400},
		{"TE with more than trailers", ServerOptions{}, with("Te", "trailers, deflate"), 400},
		{"TE: trailers", ServerOptions{}, with("Te", "trailers"), 0},
		{"end of the stream", ServerOptions{}, func(r *http.Request) { r.ContentLength = 0 }, 400},
		{"Content-Length", ServerOptions{}, func(r *http.Request) { r.ContentLength = 5 }, 400},
		{"no version", ServerOptions{}, with("Sec-Websocket-Version"), 400},
		{"another version", ServerOptions{}, with("Sec-Websocket-Version", "8"), 400},
		{"two versions", ServerOptions{}, with("Sec-Websocket-Version", "13", "8"), 400},
		{"subprotocol that is not a token", ServerOptions{}, with("Sec-Websocket-Protocol", "a b"), 400},
		{"malformed extensions", ServerOptions{Compression: engine.DefaultCompression}, with("Sec-Websocket-Extensions", "a b"), 400},
		{"the same origin", ServerOptions{}, with("Origin", "https://example.com"), 0},
		{"the same origin without TLS", ServerOptions{Scheme: "https"}, with("Origin", "http://example.com"), 403},
		{"another origin", ServerOptions{}, with("Origin", "https://evil.example"), 403},
		{"origin not allowed", ServerOptions{CheckOrigin: func(*http.Request) bool { return false }}, valid, 403},
		{"request not welcome", ServerOptions{CheckRequest: func(*http.Request) error { return errors.New("secret") }}, valid, 403},
		{"request not found", ServerOptions{CheckRequest: func(*http.Request) error {
			return &HandshakeError{Reason: "not here", Status: 404, Header: http.Header{"Connection": {"close"}, "X-Own": {"o"}}}
		}}, valid, 404},
		{"bad header of our own", ServerOptions{Header: http.Header{"Sec-WebSocket-Accept": {"x"}}}, valid, 500},
		{"header of our own that HTTP/2 forbids", ServerOptions{Header: http.Header{"keep-alive": {"x"}}}, valid, 500},
	}
	for _, test := range tests {
		for name, accept := range map[string]func(w http.ResponseWriter, r *http.Request) (*Result, error){
			"AcceptStream": func(w http.ResponseWriter, r *http.Request) (*Result, error) {
				taker, _ := StreamTakerOf[string](w)
				_, result, err := AcceptStream(taker, w, r, &test.options)
				return result, err
			},
			"Accept": func(w http.ResponseWriter, r *http.Request) (*Result, error) {
				conn, result, err := Accept(w, r, &test.options)
				if err == nil {
					conn.Close()
				}
				return result, err
			},
		} {
			t.Run(test.name+"/"+name, func(t *testing.T) {
				w := &streamWriter{ResponseRecorder: httptest.NewRecorder()}
				r := connectRequest()
				test.change(r)
				result, err := accept(w, r)
				if test.status == 0 {
					if err != nil || result == nil {
						t.Error(err)
					}
					return
				}
				var failed *HandshakeError
				if !errors.As(err, &failed) || failed.Status != test.status || w.Code != test.status || result != nil {
					t.Fatalf("answered %d, returned %v; want %d", w.Code, err, test.status)
				}
				body := w.Body.String()
				if !strings.Contains(body, failed.Reason) || body != string(failed.Body) || strings.Contains(body, "secret") {
					t.Errorf("body %q and %q don't both say only %q", body, failed.Body, failed.Reason)
				}
				for header, want := range map[string]string{
					"Allow":                 map[int]string{405: "CONNECT"}[test.status],
					"X-Own":                 map[int]string{404: "o"}[test.status],
					"Sec-WebSocket-Version": map[bool]string{true: "13"}[strings.Contains(failed.Reason, "Version")],
					"Connection":            "",
					"Upgrade":               "",
				} {
					if got := w.Result().Header.Get(header); got != want {
						t.Errorf("header %s: %q, want %q", header, got, want)
					}
				}
			})
		}
	}
}

func TestOverHTTP2TheOriginMustHaveTheSchemeOfTLS(t *testing.T) {
	for origin, want := range map[string]bool{"https://example.com": true, "http://example.com": false, "https://example.com:444": false} {
		r := connectRequest()
		r.TLS = &testState
		r.Header.Set("Origin", origin)
		w := &streamWriter{ResponseRecorder: httptest.NewRecorder()}
		if _, _, err := AcceptStream(w, w, r, nil); (err == nil) != want {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

func TestAcceptStreamReportsAStreamThatIsLost(t *testing.T) {
	w := &streamWriter{ResponseRecorder: httptest.NewRecorder(), err: io.ErrClosedPipe}
	_, result, err := AcceptStream(w, w, connectRequest(), nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 0 || !errors.Is(err, io.ErrClosedPipe) || result != nil {
		t.Error(err)
	}
}

func TestAStreamTakerIsFoundBelowMiddleware(t *testing.T) {
	taker := &streamWriter{ResponseRecorder: httptest.NewRecorder()}
	for name, test := range map[string]struct {
		w    http.ResponseWriter
		want bool
	}{
		"itself":                  {taker, true},
		"below two":               {wrappedWriter{wrappedWriter{taker}}, true},
		"none":                    {wrappedWriter{httptest.NewRecorder()}, false},
		"hidden":                  {struct{ http.ResponseWriter }{taker}, false},
		"below one that hides it": {wrappedWriter{struct{ http.ResponseWriter }{taker}}, false},
	} {
		if got, ok := StreamTakerOf[string](test.w); ok != test.want || ok && got != taker {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
	if _, ok := StreamTakerOf[int](taker); ok {
		t.Error("a taker of streams of another type is found")
	}
}
