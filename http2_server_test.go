package websock

import (
	"context"
	stdtls "crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/tls"
)

// A runningServer is an http.Server that speaks HTTP/2 in one of the ways in which it can be started.
type runningServer struct {
	*http.Server
	configured *HTTP2Server
	addr       string
	roots      *x509.CertPool // nil: no TLS
}

// serverStarts start an http.Server, configured by p, in different ways.
var serverStarts = map[string]func(t testing.TB, p *HTTP2Server, s *http.Server) *runningServer{
	"ServeTLS": func(t testing.TB, p *HTTP2Server, s *http.Server) *runningServer {
		certificate, roots := testCertificate(t)
		s.TLSConfig = &stdtls.Config{Certificates: []stdtls.Certificate{certificate}}
		return startHTTP2(t, p, s, roots, func(l net.Listener) error { return s.ServeTLS(l, "", "") })
	},
	"crypto/tls": func(t testing.TB, p *HTTP2Server, s *http.Server) *runningServer {
		certificate, roots := testCertificate(t)
		s.TLSConfig = &stdtls.Config{Certificates: []stdtls.Certificate{certificate}}
		return startHTTP2(t, p, s, roots, func(l net.Listener) error { return s.Serve(stdtls.NewListener(l, s.TLSConfig)) })
	},
	"transport/tls": func(t testing.TB, p *HTTP2Server, s *http.Server) *runningServer {
		certificate, roots := testCertificate(t)
		s.TLSConfig = &stdtls.Config{Certificates: []stdtls.Certificate{certificate}}
		return startHTTP2(t, p, s, roots, func(l net.Listener) error { return s.Serve(tls.NewListener(l, s.TLSConfig)) })
	},
	"cleartext": func(t testing.TB, p *HTTP2Server, s *http.Server) *runningServer {
		s.Protocols = new(http.Protocols)
		s.Protocols.SetHTTP1(true)
		s.Protocols.SetUnencryptedHTTP2(true)
		return startHTTP2(t, p, s, nil, s.Serve)
	},
	"ServeConn": func(t testing.TB, p *HTTP2Server, s *http.Server) *runningServer {
		return startHTTP2(t, p, s, nil, func(l net.Listener) error {
			s.RegisterOnShutdown(func() { l.Close() })
			for {
				conn, err := l.Accept()
				if err != nil {
					return err
				}
				go p.ServeConn(conn, s)
			}
		})
	},
}

// testCertificate returns the certificate of httptest.
func testCertificate(t testing.TB) (stdtls.Certificate, *x509.CertPool) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return s.TLS.Certificates[0], rootsOf(s)
}

func rootsOf(s *httptest.Server) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return roots
}

func startHTTP2(t testing.TB, p *HTTP2Server, s *http.Server, roots *x509.CertPool, serve func(net.Listener) error) *runningServer {
	t.Helper()
	if err := p.Configure(s); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { serve(l); close(served) }()
	t.Cleanup(func() {
		p.Close()
		s.Close()
		l.Close()
		<-served
	})
	return &runningServer{s, p, l.Addr().String(), roots}
}

// eachHTTP2Server runs f with servers started in each way, over std and over epoll.
func eachHTTP2Server(t *testing.T, s func() *http.Server, f func(t *testing.T, s *runningServer)) {
	for name, start := range serverStarts {
		for _, c := range []struct {
			name string
			f    transport.Factory
		}{{"std", nil}, {"epoll", epoll.Transport()}} {
			t.Run(name+" over "+c.name, func(t *testing.T) {
				t.Parallel()
				f(t, start(t, &HTTP2Server{Transport: c.f}, s()))
			})
		}
	}
}

func (s *runningServer) scheme() string {
	if s.roots != nil {
		return "https"
	}
	return "http"
}

func (s *runningServer) url() string { return s.scheme() + "://" + s.addr + "/" }

// client returns net/http's client for HTTP/2.
func (s *runningServer) client(t testing.TB) *http.Client {
	tr := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &stdtls.Config{RootCAs: s.roots}}
	tr.Protocols.SetHTTP2(s.roots != nil)
	tr.Protocols.SetUnencryptedHTTP2(s.roots == nil)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

// session connects a client Session to the server.
func (s *runningServer) session(t testing.TB) *h2.Session {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if s.roots != nil {
		conn = stdtls.Client(conn, &stdtls.Config{RootCAs: s.roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
		if err := conn.(*stdtls.Conn).Handshake(); err != nil {
			t.Fatal(err)
		}
	}
	session, err := h2.NewClient(std.New(conn, nil), h2.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close(http2.ErrCodeNo, nil) })
	settings, err := session.Settings(t.Context())
	if err != nil || !settings.ExtendedConnect {
		t.Fatalf("%+v, %v", settings, err)
	}
	return session
}

// connect returns the request of a WebSocket.
func (s *runningServer) connect() []hpack.HeaderField {
	return []hpack.HeaderField{
		{Name: ":method", Value: "CONNECT"},
		{Name: ":protocol", Value: "websocket"},
		{Name: ":scheme", Value: s.scheme()},
		{Name: ":authority", Value: s.addr},
		{Name: ":path", Value: "/"},
		{Name: "sec-websocket-version", Value: "13"},
	}
}

// open opens a WebSocket on a Session, with these fields more.
func (s *runningServer) open(t testing.TB, session *h2.Session, more ...hpack.HeaderField) *Conn {
	t.Helper()
	st, err := session.Open(append(s.connect(), more...), false)
	if err != nil {
		t.Fatal(err)
	}
	head, err := st.Head(t.Context())
	if err != nil || head.Fields[0].Value != "200" {
		t.Fatalf("%v, %v", head, err)
	}
	return NewConn(st, Client, Options{Limits: patientLimits})
}

// pageOrEcho serves a page, and echoes on WebSockets.
func pageOrEcho(t testing.TB, opts *AcceptOptions) http.HandlerFunc {
	ws := echo(t, opts)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			ws(w, r)
			return
		}
		io.WriteString(w, "page over "+r.Proto)
	}
}

// getPage fetches the page of pageOrEcho.
func getPage(t testing.TB, s *runningServer, c *http.Client) {
	t.Helper()
	got, err := c.Get(s.url())
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if body, err := io.ReadAll(got.Body); string(body) != "page over HTTP/2.0" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
}

func TestPagesAndWebSocketsOverHTTP2(t *testing.T) {
	eachHTTP2Server(t, func() *http.Server { return &http.Server{Handler: pageOrEcho(t, nil)} }, func(t *testing.T, s *runningServer) {
		getPage(t, s, s.client(t))
		session := s.session(t)
		conns := []*Conn{s.open(t, session), s.open(t, session), s.open(t, session)}
		st, err := session.Open([]hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: s.scheme()},
			{Name: ":authority", Value: s.addr}, {Name: ":path", Value: "/"}}, true)
		if err != nil {
			t.Fatal(err)
		}
		if head, err := st.Head(t.Context()); err != nil || head.Fields[0].Value != "200" {
			t.Errorf("%v, %v", head, err)
		}
		if body, err := io.ReadAll(st); string(body) != "page over HTTP/2.0" || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		for _, c := range conns {
			roundTrip(t, c)
		}
		if err := session.Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestAHandlerMayReturnBeforeItsWebSocketEnds(t *testing.T) {
	contexts := make(chan context.Context, 100)
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, err := Accept(wrapped{w}, r, &AcceptOptions{Handler: Messages(func(c *Conn, op Opcode, msg []byte) {
			c.SendFrame(op, true, msg)
		}, nil)})
		if err != nil {
			t.Error(err)
		}
		contexts <- r.Context()
	}
	eachHTTP2Server(t, func() *http.Server {
		return &http.Server{Handler: http.HandlerFunc(handler), ReadTimeout: time.Hour, WriteTimeout: time.Hour}
	}, func(t *testing.T, s *runningServer) {
		session := s.session(t)
		c := s.open(t, session)
		select {
		case <-(<-contexts).Done():
		case <-time.After(time.Minute):
			t.Error("the context goes on after the handler")
		}
		roundTrip(t, c)
	})
}

func TestAWebSocketKeepsNeitherAGoroutineNorItsRequest(t *testing.T) {
	const streams = 50
	requests := make(chan weak.Pointer[http.Request], streams)
	s := serverStarts["cleartext"](t, &HTTP2Server{Transport: epoll.Transport()}, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- weak.Make(r)
		Accept(w, r, &AcceptOptions{Handler: Messages(func(c *Conn, op Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil)})
	})})
	session := s.session(t)
	roundTrip(t, s.open(t, session))
	<-requests
	before := runtime.NumGoroutine()
	var conns []*Conn
	for range streams {
		conns = append(conns, s.open(t, session))
	}
	waitUntil(func() bool { return runtime.NumGoroutine() <= before })
	for range streams {
		r := <-requests
		waitUntil(func() bool {
			runtime.GC()
			return r.Value() == nil || race.Enabled // the race detector keeps some
		})
	}
	for _, c := range conns {
		roundTrip(t, c)
	}
}

// wrapped is a ResponseWriter of middleware.
type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func TestAcceptNegotiatesOverHTTP2(t *testing.T) {
	requests := make(chan *http.Request, 100)
	opts := &AcceptOptions{
		Subprotocols: []string{"a", "b"},
		Compression:  Compression{Level: 1},
		Header:       http.Header{"X-Own": {"c"}},
		CheckRequest: func(r *http.Request) error {
			if r.Header.Get("X-Denied") != "" {
				return &HandshakeError{Status: http.StatusUnauthorized, Reason: "no key"}
			}
			return nil
		},
	}
	start := serverStarts["ServeTLS"]
	s := start(t, new(HTTP2Server), &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests <- r
		echo(t, opts)(w, r)
	})})
	session := s.session(t)
	roundTrip(t, s.open(t, session, hpack.HeaderField{Name: "sec-websocket-protocol", Value: "b"}))
	r := <-requests
	if r.Method != "CONNECT" || r.Header.Get(":protocol") != "websocket" || r.URL.Path != "/" || r.TLS == nil || r.Proto != "HTTP/2.0" ||
		r.Context().Value(http.ServerContextKey) != s.Server || r.Context().Value(http.LocalAddrContextKey).(net.Addr).String() != s.addr {
		t.Errorf("%+v", r)
	}
	for name, c := range map[string]struct {
		field  hpack.HeaderField
		status string
	}{
		"rejected": {hpack.HeaderField{Name: "x-denied", Value: "1"}, "401"},
		"origin":   {hpack.HeaderField{Name: "origin", Value: "https://elsewhere.example"}, "403"},
	} {
		st, err := session.Open(append(s.connect(), c.field), false)
		if err != nil {
			t.Fatal(err)
		}
		if head, err := st.Head(t.Context()); err != nil || head.Fields[0].Value != c.status {
			t.Errorf("%s: %v, %v", name, head, err)
		}
		st.Close()
	}
}

func TestPatternsOfServeMuxMatchBothVersions(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", echo(t, nil))
	s := serverStarts["cleartext"](t, new(HTTP2Server), &http.Server{Handler: mux})
	roundTrip(t, s.open(t, s.session(t)))
	c, err := Dial(t.Context(), "ws://"+s.addr, &Config{Limits: patientLimits})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestConnStateOverHTTP2(t *testing.T) {
	var mu sync.Mutex
	states := map[string][]http.ConnState{}
	closed := make(chan struct{}, 100)
	newServer := func() *http.Server {
		return &http.Server{Handler: pageOrEcho(t, nil), ConnState: func(c net.Conn, state http.ConnState) {
			mu.Lock()
			defer mu.Unlock()
			at := c.LocalAddr().String()
			states[at] = append(states[at], state)
			if state == http.StateClosed {
				closed <- struct{}{}
			}
		}}
	}
	for _, name := range []string{"ServeTLS", "transport/tls", "cleartext"} {
		s := serverStarts[name](t, new(HTTP2Server), newServer())
		session := s.session(t)
		c := s.open(t, session)
		roundTrip(t, c)
		waitUntil(func() bool {
			mu.Lock()
			defer mu.Unlock()
			return slices.Equal(states[s.addr], []http.ConnState{http.StateNew, http.StateActive, http.StateIdle, http.StateActive, http.StateIdle}) ||
				slices.Equal(states[s.addr], []http.ConnState{http.StateNew, http.StateActive, http.StateIdle})
		})
		session.Close(http2.ErrCodeNo, nil)
		<-closed
	}
}

func TestShutdownOverHTTP2LetsStreamsEnd(t *testing.T) {
	eachHTTP2Server(t, func() *http.Server { return &http.Server{Handler: pageOrEcho(t, nil)} }, func(t *testing.T, s *runningServer) {
		if s.Protocols == nil && s.TLSConfig == nil {
			t.Skip("ServeConn has no server to shut down")
		}
		session := s.session(t)
		c := s.open(t, session)
		result := make(chan error, 1)
		go func() { result <- s.Shutdown(t.Context()) }()
		waitUntil(session.GoingAway)
		roundTrip(t, c) // and closes
		select {
		case err := <-result:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Shutdown doesn't return")
		}
		waitUntil(func() bool { return session.Err() != nil })
	})
}

func TestCloseEndsConnectionsOverHTTP2(t *testing.T) {
	eachHTTP2Server(t, func() *http.Server { return &http.Server{Handler: pageOrEcho(t, nil)} }, func(t *testing.T, s *runningServer) {
		session := s.session(t)
		c := s.open(t, session)
		s.Close()
		s.configured.Close() // for those that http.Server doesn't know
		if _, _, err := c.RecvMessage(nil); err == nil {
			t.Error("the connection goes on")
		}
	})
}

func TestIdleConnectionsOverHTTP2End(t *testing.T) {
	eachHTTP2Server(t, func() *http.Server {
		return &http.Server{Handler: pageOrEcho(t, nil), IdleTimeout: 8 * time.Second} // within which a busy machine opens a WebSocket
	}, func(t *testing.T, s *runningServer) {
		session := s.session(t)
		c := s.open(t, session)
		defer c.Abort(nil)
		other := s.session(t)
		waitUntil(func() bool { return other.Err() != nil })
		if err := session.Err(); err != nil {
			t.Error("a connection with a WebSocket has ended:", err)
		}
	})
}

func TestSettingsOfTheHTTPServer(t *testing.T) {
	s := serverStarts["cleartext"](t, new(HTTP2Server), &http.Server{
		Handler:        pageOrEcho(t, nil),
		MaxHeaderBytes: 1000,
		HTTP2:          &http.HTTP2Config{MaxConcurrentStreams: 3, MaxReceiveBufferPerStream: 12345, SendPingTimeout: 50 * time.Millisecond},
	})
	session := s.session(t)
	settings, err := session.Settings(t.Context())
	if err != nil || settings.MaxStreams != 3 || settings.Window != 12345 {
		t.Errorf("%+v, %v", settings, err)
	}
	st, err := session.Open([]hpack.HeaderField{{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: s.addr}, {Name: ":path", Value: "/"}, {Name: "x", Value: strings.Repeat("x", 1000)}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if head, err := st.Head(t.Context()); err != nil || head.Fields[0].Value != "431" {
		t.Errorf("%v, %v", head, err)
	}
	silent := rawHTTP2(t, s.addr)
	for {
		f, err := silent.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if ping, ok := f.(*http2.PingFrame); ok && !ping.IsAck() {
			break
		}
	}
}

// rawHTTP2 connects to a server of cleartext HTTP/2 and sends the preface.
func rawHTTP2(t testing.TB, addr string) *http2.Framer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.WriteSettings()
	return framer
}

func TestServersThatCannotSpeakHTTP2(t *testing.T) {
	only1 := new(http.Protocols)
	only1.SetHTTP1(true)
	for name, s := range map[string]*http.Server{
		"Protocols":    {Protocols: only1},
		"CipherSuites": {TLSConfig: &stdtls.Config{CipherSuites: []uint16{stdtls.TLS_RSA_WITH_AES_128_CBC_SHA}}},
	} {
		if err := ConfigureServer(s); err == nil {
			t.Error(name)
		}
	}
}

func TestConfigureServerKeepsWhatIsThere(t *testing.T) {
	config := &stdtls.Config{NextProtos: []string{"own", "http/1.1"}}
	s := &http.Server{TLSConfig: config, TLSNextProto: map[string]func(*http.Server, *stdtls.Conn, http.Handler){"own": nil}}
	if err := ConfigureServer(s); err != nil {
		t.Fatal(err)
	}
	if want := []string{"own", "http/1.1", "h2"}; !slices.Equal(s.TLSConfig.NextProtos, want) {
		t.Errorf("%q", s.TLSConfig.NextProtos)
	}
	if _, ok := s.TLSNextProto["own"]; !ok {
		t.Error("a protocol is gone")
	}
}

func TestTLSThatHTTP2DoesNotAllow(t *testing.T) {
	for name, config := range map[string]*stdtls.Config{
		"TLS 1.1":      {MinVersion: stdtls.VersionTLS11, MaxVersion: stdtls.VersionTLS11},
		"cipher suite": {MaxVersion: stdtls.VersionTLS12, CipherSuites: []uint16{stdtls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, stdtls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}},
	} {
		certificate, roots := testCertificate(t)
		s := &http.Server{Handler: pageOrEcho(t, nil), ErrorLog: log.New(io.Discard, "", 0)}
		p := new(HTTP2Server)
		running := startHTTP2(t, p, s, roots, func(l net.Listener) error {
			c := config.Clone()
			c.Certificates, c.NextProtos = []stdtls.Certificate{certificate}, []string{"h2"}
			return s.Serve(stdtls.NewListener(l, c))
		})
		c := config.Clone()
		c.RootCAs, c.ServerName, c.NextProtos = roots, "127.0.0.1", []string{"h2"}
		conn, err := stdtls.Dial("tcp", running.addr, c)
		if err != nil {
			t.Fatal(name, err)
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
		conn.Close()
	}
}

func TestHTTPTestServersSpeakHTTP2(t *testing.T) {
	s := httptest.NewUnstartedServer(pageOrEcho(t, nil))
	s.EnableHTTP2 = true
	if err := ConfigureServer(s.Config); err != nil {
		t.Fatal(err)
	}
	s.StartTLS()
	defer s.Close()
	got, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if body, _ := io.ReadAll(got.Body); string(body) != "page over HTTP/2.0" {
		t.Errorf("%q", body)
	}
	running := &runningServer{Server: s.Config, addr: s.Listener.Addr().String(), roots: rootsOf(s)}
	session := running.session(t)
	roundTrip(t, running.open(t, session))
}

func TestHTTP1IsServedBesideHTTP2(t *testing.T) {
	for _, name := range []string{"ServeTLS", "transport/tls", "cleartext"} {
		s := serverStarts[name](t, new(HTTP2Server), &http.Server{Handler: echo(t, nil)})
		c, err := Dial(t.Context(), strings.Replace(s.url(), "http", "ws", 1), &Config{TLS: &stdtls.Config{RootCAs: s.roots}, Limits: patientLimits})
		if err != nil {
			t.Fatal(name, err)
		}
		roundTrip(t, c)
	}
}

func TestAClientIsToldWhyItsConnectionEnds(t *testing.T) {
	eachHTTP2Server(t, func() *http.Server { return &http.Server{Handler: pageOrEcho(t, nil)} }, func(t *testing.T, s *runningServer) {
		for range 20 {
			conn, err := net.Dial("tcp", s.addr)
			if err != nil {
				t.Fatal(err)
			}
			if s.roots != nil {
				conn = stdtls.Client(conn, &stdtls.Config{RootCAs: s.roots, ServerName: "127.0.0.1", NextProtos: []string{"h2"}})
			}
			conn.SetDeadline(time.Now().Add(20 * time.Second))
			io.WriteString(conn, http2.ClientPreface)
			framer := http2.NewFramer(conn, conn)
			framer.WriteSettings()
			for settings := 0; settings < 2; { // one of them is an acknowledgement
				f, err := framer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := f.(*http2.SettingsFrame); ok {
					settings++
				}
			}
			framer.WriteWindowUpdate(0, 1<<31-1) // beyond the largest window
			framer.WriteWindowUpdate(0, 1<<31-1)
			for {
				f, err := framer.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				if goAway, ok := f.(*http2.GoAwayFrame); ok {
					if goAway.ErrCode != http2.ErrCodeFlowControl {
						t.Error(goAway.ErrCode)
					}
					break
				}
			}
			conn.Close()
		}
	})
}

func TestWebSocketsOfAMuxShareAConnectionToAConfiguredServer(t *testing.T) {
	eachHTTP2Server(t, func() *http.Server { return &http.Server{Handler: pageOrEcho(t, nil)} }, func(t *testing.T, s *runningServer) {
		m := &Mux{Cleartext: s.roots == nil}
		defer m.Close()
		url, config := strings.Replace(s.url(), "http", "ws", 1), &stdtls.Config{RootCAs: s.roots}
		var conns []*Conn
		for range 20 {
			c, err := Dial(t.Context(), url, &Config{Mux: m, TLS: config, Limits: patientLimits})
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		if stats := m.Stats(); stats.Conns != 1 || stats.Streams != 20 {
			t.Errorf("%+v", stats)
		}
		for _, c := range conns {
			roundTrip(t, c)
		}
	})
}

func TestServeConnReturnsWhyTheConnectionEnded(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	result := make(chan error, 1)
	go func() { result <- new(HTTP2Server).ServeConn(server, &http.Server{Handler: pageOrEcho(t, nil)}) }()
	io.WriteString(client, "GET / HTTP/1.1\r\n\r\n")
	io.Copy(io.Discard, client)
	client.Close()
	var failed *SessionError
	if err := <-result; !errors.As(err, &failed) || failed.Code != http2.ErrCodeProtocol {
		t.Errorf("%v", err)
	}
}

// Firefox takes END_STREAM for the end of both directions, and doesn't answer a close frame that comes
// with it.
func TestServerEndsItsStreamAfterTheAnswer(t *testing.T) {
	eachHTTP2Server(t, func() *http.Server {
		return &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := Accept(w, r, &AcceptOptions{Limits: Limits{CloseTimeout: time.Minute}})
			if err != nil {
				t.Error(err)
				return
			}
			if err := c.CloseWith(4001, "bye"); err != nil {
				t.Error(err)
			}
		})}
	}, func(t *testing.T, s *runningServer) {
		st, err := s.session(t).Open(s.connect(), false)
		if err != nil {
			t.Fatal(err)
		}
		var frame [7]byte
		if _, err := io.ReadFull(st, frame[:]); err != nil {
			t.Fatal(err)
		}
		st.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		if _, err := st.View(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("before the answer: %v", err)
		}
		st.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		st.Writev([]byte{0x82, 0x81, 0, 0, 0, 0, 'x'}) // it was under way
		if _, err := st.View(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("before the answer: %v", err)
		}
		st.SetReadDeadline(time.Now().Add(20 * time.Second))
		st.Writev([]byte{0x88, 0x82, 0, 0, 0, 0, 4001 >> 8, 4001 & 0xff})
		if _, err := st.View(); err != io.EOF {
			t.Errorf("after the answer: %v", err)
		}
	})
}

// As with net/http, a BaseContext that has ended is a matter of the handlers.
func TestRequestsAreServedAfterTheEndOfTheBaseContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s := serverStarts["cleartext"](t, &HTTP2Server{}, &http.Server{
		Handler:     pageOrEcho(t, nil),
		BaseContext: func(net.Listener) context.Context { return ended },
	})
	getPage(t, s, s.client(t))
}

// A session that is being made while Close is called is ended, too.
func TestCloseEndsASessionThatIsBeingMade(t *testing.T) {
	var l sessions
	for _, duringClose := range []bool{true, false} {
		_, server := netpair.Sockets(t, "tcp")
		closes := l.begin()
		session, err := h2.NewServer(std.New(server, nil), h2.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer session.Close(0, nil)
		if duringClose {
			l.close()
		}
		l.add(session, &http.Server{}, closes)
		if ended := session.Err() != nil; ended != duringClose {
			t.Errorf("it was ended: %v", ended)
		}
	}
}
