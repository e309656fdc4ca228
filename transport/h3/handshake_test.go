package h3_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
)

func TestAgreedOptionsReachBothSides(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Middleware", "yes")
		c, err := websock.Accept(w, r, &websock.AcceptOptions{
			Subprotocols: []string{"b"},
			Compression:  websock.Compression{Level: 1},
			Header:       http.Header{"X-Server": {"h3"}},
		})
		if err != nil {
			t.Error(err)
			return
		}
		if r.Proto != "HTTP/3.0" || r.Header.Get("X-Client") != "h3" || c.TLS() == nil || c.Subprotocol() != "b" {
			t.Errorf("request %q %v, connection %v %q", r.Proto, r.Header, c.TLS(), c.Subprotocol())
		}
		c.SendText([]byte(c.RemoteAddr().String()))
	})
	c := s.mustDial(t, websock.Config{
		Subprotocols: []string{"a", "b"},
		Compression:  websock.Compression{Level: 1},
		Header:       http.Header{"X-Client": {"h3"}},
	})
	defer c.Abort(nil)
	header := c.HandshakeHeader()
	if c.Subprotocol() != "b" || c.Compression().Level == 0 || header.Get("X-Server") != "h3" || header.Get("X-Middleware") != "yes" {
		t.Errorf("%q, %+v, %v", c.Subprotocol(), c.Compression(), header)
	}
	if state := c.TLS(); state == nil || state.NegotiatedProtocol != "h3" || c.RemoteAddr().String() != s.addr.String() {
		t.Errorf("%v, %v", state, c.RemoteAddr())
	}
	if _, own, err := c.RecvMessage(nil); !strings.Contains(string(own), ":") || err != nil {
		t.Errorf("the server sees the client as %q, %v", own, err)
	}
}

func TestHandshakeErrorsHaveTheResponse(t *testing.T) {
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		cfg     websock.Config
		status  int
		header  string // X-Test
		body    string
		reason  string
	}{
		{name: "a status", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Test", "one")
			w.WriteHeader(http.StatusTeapot)
			w.Write([]byte(strings.Repeat("short and stout\n", 200)))
		}, status: 418, header: "one", body: "short and stout\n", reason: "418"},
		{name: "an informational response before", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNotFound)
		}, status: 404},
		{name: "a redirect", handler: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "https://example.com/")
			w.WriteHeader(http.StatusFound)
		}, status: 302},
		{name: "CheckRequest", handler: func(w http.ResponseWriter, r *http.Request) {
			websock.Accept(w, r, &websock.AcceptOptions{CheckRequest: func(*http.Request) error { return errors.New("not you") }})
		}, status: 403},
		{name: "a foreign origin", handler: echo, cfg: websock.Config{Header: http.Header{"Origin": {"https://example.com"}}}, status: 403},
		{name: "a large header", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Test", strings.Repeat("x", 3000))
		}, cfg: websock.Config{Limits: websock.Limits{HandshakeSize: 2000}}, reason: "response"},
		{name: "a larger header than the connection's limit", handler: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Test", strings.Repeat("x", 200_000))
		}, reason: "response"},
		{name: "a panic", handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, reason: "response"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newServer(t, test.handler)
			var failed *websock.HandshakeError
			waitUntil(t, "the body has come", func() bool { // Dial doesn't wait for long for it
				_, err := s.dial(t, test.cfg)
				if !errors.As(err, &failed) {
					t.Fatal(err)
				}
				return len(failed.Body) >= len(test.body)
			})
			if failed.Status != test.status || failed.Header.Get("X-Test") != test.header || !strings.HasPrefix(string(failed.Body), test.body) ||
				len(failed.Body) > 1<<10 || !strings.Contains(failed.Error(), test.reason) || failed.Host != s.addr.String() {
				t.Errorf("%v: header %v, body of %d bytes", failed, failed.Header, len(failed.Body))
			}
			waitUntil(t, "the stream is forgotten", func() bool { return s.mux.Stats().Streams == 0 })
			if test.status != 0 && test.handler != nil && s.mux.Stats().Conns != 1 {
				t.Error("the connection has ended")
			}
		})
	}
}

// What a client may send that isn't ours.
func TestRequestsThatAreDeclined(t *testing.T) {
	s := newServer(t, echo)
	session := s.session(t)
	with := func(name, value string) []hpack.HeaderField {
		fields := slices.DeleteFunc(s.fields(), func(f hpack.HeaderField) bool { return f.Name == name })
		if value == "" {
			return fields
		}
		at := 0
		if !strings.HasPrefix(name, ":") {
			at = len(fields)
		}
		return slices.Insert(fields, at, hpack.HeaderField{Name: name, Value: value})
	}
	for _, test := range []struct {
		name   string
		fields []hpack.HeaderField
		status string
	}{
		{"a proper one", s.fields(), "200"},
		{"another protocol", with(":protocol", "connect-udp"), "501"},
		{"another version", with("sec-websocket-version", "8"), "400"},
		{"no version", with("sec-websocket-version", ""), "400"},
		{"a foreign origin", with("origin", "https://example.com"), "403"},
		{"a length", with("content-length", "5"), "400"},
		{"a GET", slices.DeleteFunc(with(":method", "GET"), func(f hpack.HeaderField) bool { return f.Name == ":protocol" }), "405"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		c, head, err := session.OpenStream(ctx, test.fields)
		cancel()
		if err != nil || head.Fields[0].Value != test.status {
			t.Errorf("%s: %v, %v", test.name, head.Fields, err)
			continue
		}
		c.Close()
	}
	if n := session.Streams(); n != 0 {
		t.Errorf("%d streams are left", n)
	}
}

func TestADialThatEndsLeavesNoStream(t *testing.T) {
	called, release := make(chan bool, 1), make(chan bool)
	s := newServer(t, func(http.ResponseWriter, *http.Request) {
		called <- true
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := websock.Dial(ctx, "wss://"+s.addr.String(), &websock.Config{Mux: s.mux, TLS: s.config})
		failed <- err
	}()
	<-called
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if stats := s.mux.Stats(); stats.Streams != 0 || stats.Conns != 1 {
		t.Errorf("%+v", stats)
	}
	if _, err := s.dial(t, websock.Config{Timeout: time.Millisecond}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestSourceAddress(t *testing.T) {
	s := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if c, err := websock.Accept(w, r, nil); err == nil {
			c.SendText([]byte(r.RemoteAddr))
		}
	})
	for _, test := range []struct {
		name string
		addr net.Addr
		want string
	}{
		{"an address", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, "127.0.0.1"},
		{"any", &net.TCPAddr{}, "127.0.0.1"},
		{"any of IPv4", &net.TCPAddr{IP: net.IPv4zero}, "127.0.0.1"},
	} {
		c, err := s.dial(t, websock.Config{Dialer: &net.Dialer{LocalAddr: test.addr}})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		_, seen, err := c.RecvMessage(nil)
		if host, _, _ := net.SplitHostPort(string(seen)); host != test.want || err != nil {
			t.Errorf("%s: the server sees %s, %v", test.name, host, err)
		}
		c.Abort(nil)
	}
}
