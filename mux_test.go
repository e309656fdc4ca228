package websock

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// muxCarriers are the transports that carry the connections of a Mux.
var muxCarriers = map[string]transport.Factory{
	"std":     std.Transport(),
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
}

// dialMux opens a WebSocket, and aborts it when the test ends.
func dialMux(t testing.TB, url string, cfg *Config) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := Dial(ctx, url, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Abort(nil) })
	return c
}

// closing closes m when the test ends.
func closing(t testing.TB, m *Mux) *Mux {
	t.Cleanup(m.Close)
	return m
}

func TestWebSocketsShareConnections(t *testing.T) {
	for name, carrier := range muxCarriers {
		for _, cleartext := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " cleartext ", cleartext), func(t *testing.T) {
				s := newStreamServer(t, streamServerConfig{cleartext: cleartext})
				m := closing(t, &Mux{StreamsPerConn: 10})
				cfg := s.config(m)
				cfg.Transport = carrier
				var conns []*Conn
				for range 25 {
					conns = append(conns, dialMux(t, s.url(), cfg))
				}
				stats := m.Stats()
				if stats.Conns != 3 || stats.Streams != 25 || s.accepted() != 3 || len(stats.Hosts) != 1 {
					t.Errorf("%+v; the server has accepted %d", stats, s.accepted())
				}
				for _, c := range conns {
					if (c.TLS() == nil) != cleartext || c.RemoteAddr().String() != s.addr {
						t.Errorf("TLS %+v, peer %v", c.TLS(), c.RemoteAddr())
					}
					roundTrip(t, c)
				}
				waitUntil(func() bool { return m.Stats().Streams == 0 })
			})
		}
	}
}

func TestManyDialsAtOnce(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	m := closing(t, &Mux{})
	cfg := s.config(m)
	cfg.Transport = epoll.Transport()
	got := make(chan string, 1000)
	cfg.Handler = Messages(func(_ *Conn, _ Opcode, msg []byte) { got <- string(msg) }, nil)
	var dials sync.WaitGroup
	for i := range 1000 {
		dials.Go(func() {
			c, err := Dial(t.Context(), s.url(), cfg)
			if err == nil {
				err = c.SendText(fmt.Append(nil, i))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	dials.Wait()
	if stats := m.Stats(); stats.Conns != 10 || stats.Streams != 1000 {
		t.Errorf("%+v", stats)
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[<-got] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d different answers", len(seen))
	}
}

func TestAServerWithoutRFC8441GetsHTTP1(t *testing.T) {
	for name, test := range map[string]struct {
		server func(t *testing.T) (url string, cfg *Config, accepted *atomic.Int32)
		dialed int // connections for three Dials
	}{
		"http/1.1 chosen":             {httpsServer([]string{"http/1.1"}), 3},
		"no ALPN":                     {httpsServer([]string{}), 3},
		"HTTP/2 without the setting":  {httpsServer([]string{"h2", "http/1.1"}), 4},
		"streams need HTTP/1.1":       {refusingStreams, 4},
		"connections need HTTP/1.1":   {refusingSessions, 4},
		"a DialTLS that has no ALPN":  {ownTLS(nil), 3},
		"a DialTLS of another module": {ownTLS(func(c *tls.Conn) net.Conn { return unknownTLS{c} }), 3},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "connections need HTTP/1.1" && runtime.GOOS == "windows" {
				t.Skip("std can't write without waiting here, so Session.Close sends no GOAWAY frame")
			}
			url, cfg, accepted := test.server(t)
			for range 3 {
				roundTrip(t, dialMux(t, url, cfg))
			}
			if n := int(accepted.Load()); n != test.dialed {
				t.Errorf("%d connections were dialled, want %d", n, test.dialed)
			}
			waitUntil(func() bool { return cfg.Mux.Stats().Conns == 0 }) // that of refused streams was idle
			if stats := cfg.Mux.Stats(); len(stats.Hosts) != 1 || !stats.Hosts[0].HTTP1 {
				t.Errorf("%+v", stats)
			}
		})
	}
}

// counting counts the connections that cfg dials.
func counting(cfg *Config) *atomic.Int32 {
	var n atomic.Int32
	cfg.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		n.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	return &n
}

// httpsServer runs net/http's server with these protocols.
func httpsServer(protocols []string) func(t *testing.T) (string, *Config, *atomic.Int32) {
	return func(t *testing.T) (string, *Config, *atomic.Int32) {
		s := httptest.NewUnstartedServer(echo(t, nil))
		s.EnableHTTP2 = len(protocols) > 1
		s.TLS = &tls.Config{NextProtos: protocols}
		s.StartTLS()
		t.Cleanup(s.Close)
		if len(protocols) == 0 {
			s.TLS.NextProtos = nil
		}
		cfg := &Config{Mux: closing(t, &Mux{}), Proxy: NoProxy, Limits: patientLimits, TLS: s.Client().Transport.(*http.Transport).TLSClientConfig}
		return "wss" + strings.TrimPrefix(s.URL, "https"), cfg, counting(cfg)
	}
}

// refusingStreams runs a server that resets streams because it wants HTTP/1.1.
func refusingStreams(t *testing.T) (string, *Config, *atomic.Int32) {
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{
		Request: func(st *h2.Stream, _ h2.Head) { st.Reset(http2.ErrCodeHTTP11Required) },
	}})
	cfg := s.config(closing(t, &Mux{}))
	cfg.Mux.IdleTimeout = 3 * time.Second // of the connection that there is; the first Dial needs less
	n := counting(cfg)
	return s.url(), cfg, n
}

// refusingSessions runs a server that ends sessions because it wants HTTP/1.1.
func refusingSessions(t *testing.T) (string, *Config, *atomic.Int32) {
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{
		Request: func(st *h2.Stream, _ h2.Head) { st.Session().Close(http2.ErrCodeHTTP11Required, nil) },
	}})
	cfg := s.config(closing(t, &Mux{}))
	return s.url(), cfg, counting(cfg)
}

// ownTLS runs a server for clients with DialTLS.
func ownTLS(wrap func(*tls.Conn) net.Conn) func(t *testing.T) (string, *Config, *atomic.Int32) {
	return func(t *testing.T) (string, *Config, *atomic.Int32) {
		s := newStreamServer(t, streamServerConfig{})
		cfg := s.config(closing(t, &Mux{}))
		var n atomic.Int32
		cfg.DialTLS = func(ctx context.Context, network, addr string) (net.Conn, error) {
			n.Add(1)
			conn, err := tls.Dial(network, addr, &tls.Config{RootCAs: s.roots, ServerName: "example.com"})
			if err != nil || wrap == nil {
				return conn, err
			}
			return wrap(conn), nil
		}
		return s.url(), cfg, &n
	}
}

func TestDialTLSMayNegotiateHTTP2(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	m := closing(t, &Mux{})
	cfg := s.config(m)
	cfg.DialTLS = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&tls.Dialer{Config: &tls.Config{
			RootCAs: s.roots, ServerName: "example.com", NextProtos: []string{"h2"},
		}}).DialContext(ctx, network, addr)
	}
	for range 3 {
		roundTrip(t, dialMux(t, s.url(), cfg))
	}
	if s.accepted() != 1 {
		t.Errorf("%d connections", s.accepted())
	}
}

func TestAMuxWorksThroughProxiesAndUnixSockets(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	var requests []string
	proxy := httptest.NewServer(connectProxy(t, s.addr, nil, &requests))
	defer proxy.Close()
	cfg := s.config(closing(t, &Mux{}))
	cfg.Proxy = proxyAt(proxy.URL)
	for range 3 {
		roundTrip(t, dialMux(t, "wss://example.com/", cfg))
	}
	if len(requests) != 1 || requests[0] != "CONNECT example.com:443" {
		t.Errorf("%q", requests)
	}
	if hosts := cfg.Mux.Stats().Hosts; len(hosts) != 1 || hosts[0].URL != "wss://example.com:443" || hosts[0].Proxy != strings.TrimPrefix(proxy.URL, "http://") {
		t.Errorf("%+v", hosts)
	}
	for _, cleartext := range []bool{true, false} {
		local := newStreamServer(t, streamServerConfig{network: "unix", cleartext: cleartext})
		cfg := local.config(closing(t, &Mux{}))
		for range 3 {
			roundTrip(t, dialMux(t, local.url(), cfg))
		}
		if local.accepted() != 1 {
			t.Errorf("cleartext %v: %d connections", cleartext, local.accepted())
		}
	}
}

func TestWithoutCleartextWSUsesHTTP1(t *testing.T) {
	m := closing(t, &Mux{})
	roundTrip(t, dialMux(t, server(t, echo(t, nil)), &Config{Mux: m, Proxy: NoProxy, Limits: patientLimits}))
	if stats := m.Stats(); len(stats.Hosts) != 0 {
		t.Errorf("%+v", stats)
	}
}

func TestAServerThatDoesNotSpeakHTTP2InCleartextIsAnError(t *testing.T) {
	m := closing(t, &Mux{Cleartext: true})
	_, err := Dial(t.Context(), server(t, echo(t, nil)), &Config{Mux: m, Proxy: NoProxy})
	var failed *HandshakeError
	var session *SessionError
	if !errors.As(err, &failed) || !errors.As(err, &session) {
		t.Error(err)
	}
}

func TestAConnectionThatEndsGracefullyKeepsItsWebSockets(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	m := closing(t, &Mux{})
	cfg := s.config(m)
	first := dialMux(t, s.url(), cfg)
	s.each((*h2.Session).Shutdown)
	waitUntil(func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		return len(m.hosts) == 0 // the GOAWAY has come
	})
	second := dialMux(t, s.url(), cfg)
	if stats := m.Stats(); stats.Conns != 2 || stats.Streams != 2 {
		t.Errorf("%+v", stats)
	}
	roundTrip(t, first)
	waitUntil(func() bool { return m.Stats().Conns == 1 }) // the first had its last stream
	roundTrip(t, second)
}

func TestARefusedStreamIsOpenedOnAnotherConnection(t *testing.T) {
	for name, test := range map[string]struct {
		refuse func(st *h2.Stream)
		most   int // connections that are allowed
		times  int // that a stream is refused
		works  bool
		conns  int
	}{
		"once":                       {func(st *h2.Stream) { st.Reset(http2.ErrCodeRefusedStream) }, 0, 1, true, 2},
		"three times":                {func(st *h2.Stream) { st.Reset(http2.ErrCodeRefusedStream) }, 0, 3, true, 2},
		"on the only connection":     {func(st *h2.Stream) { st.Reset(http2.ErrCodeRefusedStream) }, 1, 1, true, 1},
		"too often":                  {func(st *h2.Stream) { st.Reset(http2.ErrCodeRefusedStream) }, 0, 100, false, 2},
		"for a reason, and for good": {func(st *h2.Stream) { st.Reset(http2.ErrCodeEnhanceYourCalm) }, 0, 1, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			s := newStreamServer(t, streamServerConfig{h2: h2.Config{Request: func(st *h2.Stream, h h2.Head) {
				if asked.Add(1) <= int32(test.times) {
					test.refuse(st)
					return
				}
				echoStream(st, h)
			}}})
			m := closing(t, &Mux{MaxConns: test.most})
			c, err := Dial(t.Context(), s.url(), s.config(m))
			var reset *StreamError
			switch {
			case test.works && err == nil:
				roundTrip(t, c)
			case test.works || !errors.As(err, &reset) || !reset.Remote || !errors.As(err, new(*HandshakeError)):
				t.Error(err)
			}
			if asked.Load() > maxRefusals {
				t.Errorf("asked %d times", asked.Load())
			}
			if s.accepted() != test.conns {
				t.Errorf("%d connections, want %d", s.accepted(), test.conns)
			}
		})
	}
}

func TestALostConnectionEndsEachOfItsWebSockets(t *testing.T) {
	for name, carrier := range muxCarriers {
		t.Run(name, func(t *testing.T) {
			s := newStreamServer(t, streamServerConfig{})
			m := closing(t, &Mux{})
			cfg := s.config(m)
			cfg.Transport = carrier
			closed := make(chan error, 50)
			pushed := *cfg
			pushed.Handler = Messages(func(*Conn, Opcode, []byte) {}, func(_ *Conn, err error) { closed <- err })
			var pulls []*Conn
			for range 20 {
				dialMux(t, s.url(), &pushed)
				pulls = append(pulls, dialMux(t, s.url(), cfg))
			}
			go func() {
				for _, c := range pulls[:10] { // while they receive, and before
					go func() {
						_, _, err := c.RecvMessage(nil)
						closed <- err
					}()
				}
				s.each(func(session *h2.Session) { session.Close(http2.ErrCodeInternal, nil) })
			}()
			seen := map[*CloseError]bool{}
			check := func(err error) {
				var own *CloseError
				var session *SessionError
				if !errors.As(err, &own) || own.Code != CloseAbnormal || !errors.As(err, &session) {
					t.Errorf("%v", err)
				}
				seen[own] = true
			}
			for range 30 {
				check(<-closed)
			}
			for _, c := range pulls[10:] {
				_, _, err := c.RecvMessage(nil)
				check(err)
			}
			if len(seen) != 40 {
				t.Errorf("%d different errors", len(seen))
			}
			waitUntil(func() bool { return m.Stats().Conns == 0 })
		})
	}
}

func TestAResetStreamEndsOnlyItsWebSocket(t *testing.T) {
	streams := make(chan *h2.Stream, 2)
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		echoStream(st, h)
		streams <- st
	}}})
	cfg := s.config(closing(t, &Mux{}))
	a, b := dialMux(t, s.url(), cfg), dialMux(t, s.url(), cfg)
	(<-streams).Reset(http2.ErrCodeCancel)
	_, _, err := a.RecvMessage(nil)
	var own *CloseError
	var reset *StreamError
	if !errors.As(err, &own) || !errors.As(err, &reset) || reset.Code != http2.ErrCodeCancel || !reset.Remote {
		t.Error(err)
	}
	roundTrip(t, b)
}

func TestARefusalHasStatusHeaderAndBody(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		switch fieldOf(h, ":path") {
		case "/with":
			respond(st, "403", false, "x-why", "no")
			st.Writev([]byte("go away\n"))
			st.CloseWrite()
		case "/without":
			respond(st, "404", true)
		case "/endless":
			respond(st, "500", false)
			st.Writev(bytes.Repeat([]byte("x"), 100<<10))
		case "/large":
			respond(st, "200", false, "x-large", strings.Repeat("x", 10<<10))
		}
	}}})
	cfg := s.config(closing(t, &Mux{}))
	cfg.Limits.HandshakeSize = 8 << 10
	for _, test := range []struct {
		path, header, body string
		status             int
	}{
		{"with", "no", "go away\n", 403},
		{"without", "", "", 404},
		{"endless", "", strings.Repeat("x", 1<<10), 500},
		{"large", "", "", 0},
	} {
		var err error
		var refusal *HandshakeError
		waitUntil(func() bool { // Dial doesn't wait for long for the body
			_, err = Dial(t.Context(), s.url()+test.path, cfg)
			return !errors.As(err, &refusal) || len(refusal.Body) >= len(test.body)
		})
		if !errors.As(err, &refusal) || refusal.Status != test.status || refusal.Header.Get("X-Why") != test.header || string(refusal.Body) != test.body || refusal.Host != s.addr {
			t.Errorf("%s: %+v", test.path, err)
		}
		var limit *LimitError
		if large := test.status == 0; large != errors.As(err, &limit) {
			t.Errorf("%s: %v", test.path, err)
		}
	}
	waitUntil(func() bool { return cfg.Mux.Stats().Streams == 0 }) // all were reset
}

func TestRedirectsAreFollowedOverHTTP2(t *testing.T) {
	other := newStreamServer(t, streamServerConfig{})
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		switch fieldOf(h, ":path") {
		case "/here":
			respond(st, "302", true, "location", "/there")
		case "/away":
			respond(st, "307", true, "location", other.url())
		default:
			echoStream(st, h)
		}
	}}})
	cfg := s.config(closing(t, &Mux{}))
	cfg.TLS = &tls.Config{InsecureSkipVerify: true} // two servers of the test
	var refusal *HandshakeError
	if _, err := Dial(t.Context(), s.url()+"here", cfg); !errors.As(err, &refusal) || refusal.Status != 302 {
		t.Error(err)
	}
	cfg.MaxRedirects = 1
	roundTrip(t, dialMux(t, s.url()+"here", cfg))
	roundTrip(t, dialMux(t, s.url()+"away", cfg))
	if s.accepted() != 1 || other.accepted() != 1 {
		t.Errorf("%d and %d connections", s.accepted(), other.accepted())
	}
}

func TestTheHandshakeAgreesOnTheSameThingsOverHTTP2(t *testing.T) {
	got := make(chan h2.Head, 1)
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		got <- h
		respond(st, "200", false, "sec-websocket-protocol", "two", "sec-websocket-extensions", "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11", "x-own", "yes")
		NewConn(st, Server, Options{Compression: DefaultCompression}).SetHandler(
			Messages(func(c *Conn, op Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
	}}})
	cfg := s.config(closing(t, &Mux{}))
	cfg.Subprotocols, cfg.Compression, cfg.Header = []string{"one", "two"}, DefaultCompression, http.Header{"X-Mine": {"too"}}
	c := dialMux(t, s.url()+"path?query", cfg)
	h := <-got
	for name, want := range map[string]string{
		":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":authority": s.addr, ":path": "/path?query", "x-mine": "too",
	} {
		if fieldOf(h, name) != want {
			t.Errorf("%s: %q, want %q", name, fieldOf(h, name), want)
		}
	}
	if c.Subprotocol() != "two" || c.Compression().IsOff() || c.HandshakeHeader().Get("X-Own") != "yes" {
		t.Errorf("%q %+v %v", c.Subprotocol(), c.Compression(), c.HandshakeHeader())
	}
	roundTrip(t, c)
}

func TestADialThatLeavesResetsItsStream(t *testing.T) {
	asked, reset := make(chan bool, 2), make(chan error, 2)
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		if fieldOf(h, ":path") == "/" {
			echoStream(st, h)
			return
		}
		st.OnEnd(func(err error) { reset <- err })
		asked <- true
	}}})
	cfg := s.config(closing(t, &Mux{}))
	open := dialMux(t, s.url(), cfg)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := Dial(ctx, s.url()+"silent", cfg); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	var ended *StreamError
	if err := <-reset; !errors.As(err, &ended) || ended.Code != http2.ErrCodeCancel {
		t.Error(err)
	}
	cfg.Timeout = 50 * time.Millisecond
	if _, err := Dial(t.Context(), s.url()+"silent", cfg); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	roundTrip(t, open)
}

func TestDialsTellTheirTracesWhatTheyDo(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	cfg := s.config(closing(t, &Mux{}))
	for i, want := range []string{
		"dial tcp %[1]s; dialled true true; TLS 127.0.0.1; secured true true; ask %[1]s; first byte; opened true",
		"ask %[1]s; first byte; opened true",
	} {
		var steps []string
		cfg.Trace = recordTrace(&steps)
		dialMux(t, s.url(), cfg)
		if got := strings.Join(steps, "; "); got != fmt.Sprintf(want, s.addr) {
			t.Errorf("Dial %d: %s", i, got)
		}
	}
}

func TestTraceOfAMuxIsCalledWithTheFrames(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	var mu sync.Mutex
	seen := map[string]int{}
	m := closing(t, &Mux{Trace: func(remote net.Addr, f h2.Frame) {
		mu.Lock()
		defer mu.Unlock()
		seen[fmt.Sprint(remote, " ", f.Sent, " ", f.Header.Type)]++
	}})
	roundTrip(t, dialMux(t, s.url(), s.config(m)))
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{" true SETTINGS", " false SETTINGS", " true HEADERS", " false HEADERS", " true DATA", " false DATA"} {
		if seen[s.addr+want] == 0 {
			t.Errorf("no frame %s%s in %v", s.addr, want, seen)
		}
	}
}

func TestAFunctionOfATraceMayEndItsGoroutine(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	cfg := s.config(closing(t, &Mux{}))
	cfg.Trace = &Trace{DialStart: func(string, string) { runtime.Goexit() }}
	var failed *HandshakeError
	if _, err := Dial(t.Context(), s.url(), cfg); !errors.As(err, &failed) {
		t.Error(err)
	}
	cfg.Trace = nil
	roundTrip(t, dialMux(t, s.url(), cfg))
}

func TestATransportMustBeAbleToCarryAMux(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	cfg := s.config(closing(t, &Mux{}))
	cfg.Transport = pullOnly{}
	if _, err := Dial(t.Context(), s.url(), cfg); !errors.Is(err, transport.ErrUnsupported) || !errors.As(err, new(*HandshakeError)) {
		t.Error(err)
	}
	cfg.Transport = rejectingTransport{}
	if _, err := Dial(t.Context(), s.url(), cfg); !errors.As(err, new(*HandshakeError)) {
		t.Error(err)
	}
	cfg.Transport = incomparable{}
	if _, err := Dial(t.Context(), s.url(), cfg); !errors.As(err, new(*HandshakeError)) {
		t.Error(err)
	}
}

// incomparable is a Factory that can't be a key of a map.
type incomparable struct{ _ []int }

func (incomparable) Attach(net.Conn, []byte) (transport.Conn, error) { return nil, io.ErrNoProgress }

func TestCheckLooksAtTheMux(t *testing.T) {
	for _, test := range []struct {
		cfg   Config
		url   string
		valid bool
	}{
		{Config{Mux: &Mux{}}, "wss://h/", true},
		{Config{Mux: &Mux{StreamsPerConn: 1, MaxConns: 1, Window: 1, IdleTimeout: -1}}, "wss://h/", true},
		{Config{Mux: &Mux{StreamsPerConn: -1}}, "wss://h/", false},
		{Config{Mux: &Mux{MaxConns: -1}}, "wss://h/", false},
		{Config{Mux: &Mux{Window: -1}}, "ws://h/", false},
		{Config{Mux: &Mux{}, Transport: incomparable{}}, "wss://h/", false},
		{Config{Mux: &Mux{}, Transport: incomparable{}}, "ws://h/", true}, // with HTTP/1.1
		{Config{Mux: &Mux{}, Header: http.Header{"Keep-Alive": {"1"}}}, "wss://h/", false},
	} {
		test.cfg.Proxy = NoProxy
		err := test.cfg.Check(test.url)
		if (err == nil) != test.valid || err != nil && !errors.As(err, new(*HandshakeError)) {
			t.Errorf("%+v: %v", test.cfg.Mux, err)
		}
		if test.valid {
			continue
		}
		if _, dialErr := Dial(t.Context(), test.url, &test.cfg); dialErr == nil || dialErr.Error() != err.Error() {
			t.Errorf("Check says %v, and Dial %v", err, dialErr)
		}
	}
}

func TestWhichConfigsShareConnections(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	base := s.config(&Mux{})
	dial := dialTo(s.addr)
	changes := map[string]struct {
		change func(*Config)
		shares bool
	}{
		"nothing":                      {func(*Config) {}, true},
		"header, limits and path":      {func(c *Config) { c.Header, c.Limits.MessageSize = http.Header{"X": {"y"}}, 5 }, true},
		"a Dialer without an address":  {func(c *Config) { c.Dialer = &net.Dialer{Timeout: time.Minute} }, true},
		"the default transport, named": {func(c *Config) { c.Transport = std.Transport() }, true},
		"another transport":            {func(c *Config) { c.Transport = epoll.Transport() }, false},
		"another tls.Config":           {func(c *Config) { c.TLS = c.TLS.Clone() }, false},
		"another Host header":          {func(c *Config) { c.HostHeader = "other.example" }, false},
		"a source address":             {func(c *Config) { c.Dialer = &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}} }, false},
		"a Dialer with a function": {func(c *Config) {
			c.Dialer = &net.Dialer{ControlContext: func(context.Context, string, string, syscall.RawConn) error { return nil }}
		}, false},
		"NetDial": {func(c *Config) { c.NetDial = dial }, false},
	}
	for name, test := range changes {
		m := closing(t, &Mux{})
		first, second := *base, *base
		first.Mux, second.Mux = m, m
		test.change(&second)
		dialMux(t, s.url(), &first)
		dialMux(t, s.url(), &second)
		if shared := m.Stats().Conns == 1; shared != test.shares {
			t.Errorf("%s: shared %v", name, shared)
		}
		third := *base
		third.Mux = m
		third.TLS, third.Dialer, third.NetDial, third.Transport, third.HostHeader = second.TLS, second.Dialer, second.NetDial, second.Transport, second.HostHeader
		before := m.Stats().Conns
		dialMux(t, s.url(), &third)
		if m.Stats().Conns != before {
			t.Errorf("%s: not shared by Configs that both have it", name)
		}
	}
}

func TestFunctionsAreTheSameOnlyWithTheSameVariables(t *testing.T) {
	a, b := dialTo("a"), dialTo("b")
	same := a
	if idOf(a) != idOf(same) || idOf(a) == idOf(b) || idOf(a) == idOf(dialTo("a")) {
		t.Error("a function is taken for another one")
	}
	var none dialFunc
	plain := NoProxy
	if idOf(none) != nil || idOf(plain) != idOf(NoProxy) {
		t.Error("nil, or a function without variables, isn't the same as itself")
	}
}

func TestIdleConnectionsOfAMuxAreClosed(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	m := closing(t, &Mux{IdleTimeout: 50 * time.Millisecond})
	cfg := s.config(m)
	c := dialMux(t, s.url(), cfg)
	time.Sleep(200 * time.Millisecond)
	if m.Stats().Conns != 1 {
		t.Error("a connection in use was closed")
	}
	roundTrip(t, c)
	waitUntil(func() bool { return m.Stats().Conns == 0 })
	waitUntil(func() bool {
		ended := true
		s.each(func(session *h2.Session) { ended = ended && session.Err() != nil })
		return ended
	})
	roundTrip(t, dialMux(t, s.url(), cfg))
}

func TestShutdownAndCloseOfAMux(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{})
	m := closing(t, &Mux{})
	cfg := s.config(m)
	a, b := dialMux(t, s.url(), cfg), dialMux(t, s.url(), cfg)
	done := make(chan error)
	go func() { done <- m.Shutdown(t.Context()) }()
	waitUntil(func() bool {
		c, err := Dial(t.Context(), s.url(), cfg)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, ErrClosed)
	})
	roundTrip(t, a)
	roundTrip(t, b)
	if err := <-done; err != nil {
		t.Error(err)
	}
	other := &Mux{}
	cfg = s.config(other)
	c := dialMux(t, s.url(), cfg)
	other.Close()
	if _, _, err := c.RecvMessage(nil); !errors.Is(err, ErrClosed) || !errors.As(err, new(*CloseError)) {
		t.Error(err)
	}
}

func TestAServerThatGoesSilentIsNoticedByOnePing(t *testing.T) {
	for name, test := range map[string]struct {
		keepAlive KeepAlive
		data      func(n int) bool // heartbeats of the WebSockets
	}{
		"pings":      {KeepAlive{Ping: 2 * time.Second, Timeout: 8 * time.Second}, zero},
		"heartbeats": {KeepAlive{Ping: 2 * time.Second, Timeout: 8 * time.Second, Message: []byte("alive?")}, positive},
		"no pings":   {KeepAlive{Timeout: 8 * time.Second}, zero},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			frames := make(chan http2.FrameHeader, 1000)
			addr := deafStreamServer(t, frames)
			cfg := &Config{Mux: closing(t, &Mux{Cleartext: true}), Proxy: NoProxy, KeepAlive: test.keepAlive}
			var conns []*Conn
			for range 10 {
				conns = append(conns, dialMux(t, "ws://"+addr, cfg))
			}
			for _, c := range conns {
				if _, _, err := c.RecvMessage(nil); !errors.Is(err, ErrIdle) || !errors.As(err, new(*CloseError)) {
					t.Error(err)
				}
			}
			pings, data := 0, 0
			for len(frames) > 0 {
				switch h := <-frames; h.Type {
				case http2.FramePing:
					pings++
				case http2.FrameData:
					data++
				}
			}
			if pings == 0 || pings >= 10 || !test.data(data) {
				t.Errorf("%d PING and %d DATA frames", pings, data)
			}
			waitUntil(func() bool { return cfg.Mux.Stats().Conns == 0 }) // so the next Dial gets another connection
		})
	}
}

func positive(n int) bool { return n > 0 }
func zero(n int) bool     { return n == 0 }

// Whatever a server does, each Dial returns, and in the end nothing is left.
func TestAMuxSurvivesACapriciousServer(t *testing.T) {
	var asked atomic.Int32
	s := newStreamServer(t, streamServerConfig{h2: h2.Config{MaxStreams: 4, Request: func(st *h2.Stream, h h2.Head) {
		switch n := asked.Add(1); {
		case n%50 == 0:
			st.Session().Close(http2.ErrCodeInternal, nil)
		case n%30 == 0:
			st.Session().Shutdown()
			echoStream(st, h)
		case n%10 == 1:
			st.Reset(http2.ErrCodeRefusedStream)
		case n%10 == 3:
			st.Reset(http2.ErrCodeCancel)
		case n%10 == 5:
			respond(st, "503", true)
		case n%10 == 7: // no answer
		default:
			echoStream(st, h)
		}
	}}})
	for name, carrier := range muxCarriers {
		t.Run(name, func(t *testing.T) {
			m := closing(t, &Mux{StreamsPerConn: 5, MaxConns: 3, IdleTimeout: 20 * time.Millisecond})
			cfg := s.config(m)
			cfg.Transport, cfg.Timeout = carrier, time.Second
			var dials sync.WaitGroup
			var echoes atomic.Int32
			for range 20 {
				dials.Go(func() {
					for range 20 {
						c, err := Dial(t.Context(), s.url(), cfg)
						if err != nil {
							if !errors.As(err, new(*HandshakeError)) {
								t.Error(err)
							}
							continue
						}
						if c.SendText([]byte("Hello")) == nil {
							if _, msg, err := c.RecvMessage(nil); err == nil && string(msg) == "Hello" {
								echoes.Add(1)
							}
						}
						c.Close()
					}
				})
			}
			mustReturn(t, "a Dial", dials.Wait)
			if echoes.Load() == 0 {
				t.Error("not one WebSocket was opened")
			}
			waitUntil(func() bool {
				stats := m.Stats()
				return stats.Streams == 0 && stats.Conns == 0 && stats.Dialing == 0 && stats.Waiting == 0 && len(stats.Hosts) == 0
			})
		})
	}
}

// Apache's proxy forwards the end of a WebSocket's stream only to a client that has ended it.
func TestClientEndsItsStreamFirst(t *testing.T) {
	s := newStreamServer(t, streamServerConfig{cleartext: true, h2: h2.Config{Request: func(st *h2.Stream, _ h2.Head) {
		respond(st, "200", false)
		go func() {
			var frame [8]byte // of the client: a close frame with a code
			io.ReadFull(st, frame[:])
			st.Writev(engine.AppendClose([]byte{0x88, 2}, CloseNormal, ""))
			io.Copy(io.Discard, st) // to END_STREAM
			st.CloseWrite()
		}()
	}}})
	m := closing(t, &Mux{})
	for name, handler := range map[string]Handler{"Recv": nil, "Handler": Messages(nil, nil)} {
		cfg := s.config(m)
		cfg.Handler = handler
		cfg.Limits.CloseTimeout = 2 * time.Minute
		c := dialMux(t, s.url(), cfg)
		if err := c.Close(); err != nil {
			t.Error(name, err)
		}
		waitUntil(func() bool { return m.Stats().Streams == 0 })
	}
}

// A sender waits for the peer of one WebSocket, whose end must not wait for it: the goroutine of the
// transport serves the others, too.
func TestAWaitingSenderHoldsUpNoOtherWebSocket(t *testing.T) {
	for name, carrier := range muxCarriers {
		t.Run(name, func(t *testing.T) {
			accepted := make(chan *Conn, 2)
			s := newStreamServer(t, streamServerConfig{cleartext: true, h2: h2.Config{Request: func(st *h2.Stream, h h2.Head) {
				respond(st, "200", false)
				c := NewConn(st, Server, Options{Limits: Limits{WhenFull: QueueWaits, CloseTimeout: time.Minute}})
				c.SetHandler(Messages(func(c *Conn, op Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
				accepted <- c
			}}})
			cfg := s.config(closing(t, &Mux{Window: 1000}))
			cfg.Transport = carrier
			slow := dialMux(t, s.url(), cfg) // receives nothing
			sender := <-accepted
			other := dialMux(t, s.url(), cfg)
			go func() {
				for sender.SendBinary(make([]byte, 100_000)) == nil {
				}
			}()
			waitUntil(func() bool { // it waits
				sender.batch.mu.Lock()
				defer sender.batch.mu.Unlock()
				return sender.batch.state == writerBusy && sender.batch.t.Queued() > 0
			})
			slow.batch.mu.Lock()
			slow.encodeCloseLocked(CloseNormal, "") // slow.Close would discard what arrives
			slow.batch.flushHeldBack(slow)
			slow.batch.mu.Unlock()
			waitUntil(func() bool { return sender.Err() != nil })
			other.SetRecvDeadline(time.Now().Add(20 * time.Second))
			roundTrip(t, other)
		})
	}
}
