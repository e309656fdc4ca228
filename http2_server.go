package websock

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"

	"github.com/seed004e8d11/websock/internal/httpserver"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

// ConfigureServer makes s speak HTTP/2 in which Accept takes WebSockets (RFC 8441), so that a page and
// its WebSockets share one connection. It is the Configure of an HTTP2Server with default settings.
//
// A browser that has an HTTP/2 connection to s then opens every WebSocket over it, and does not try
// HTTP/1.1 if that fails. So each handler of WebSockets must call Accept, and be reached by the method
// CONNECT: routes with GET, and handlers of libraries that know HTTP/1.1 only, decline them.
func ConfigureServer(s *http.Server) error { return new(HTTP2Server).Configure(s) }

// An HTTP2Server serves HTTP/2 connections of http.Servers, in place of net/http's own HTTP/2 server,
// which by default doesn't offer WebSockets and needs a goroutine for each. Ordinary requests are
// served with the server's Handler, as net/http does. Accept in such a Handler accepts WebSockets: a
// Handler may return then. A WebSocket with a websock.Handler has no goroutine of its own: the
// goroutine that reads the connection calls the websock.Handlers of all its WebSockets, and reads
// their requests, too. So a websock.Handler must not block.
//
// The fields are set before the first use. The zero value is ready to use.
type HTTP2Server struct {
	// Transport carries the connections. nil: std.Transport(), which has a goroutine for each. Another
	// one can carry cleartext connections, and those of a listener made by NewListener of package
	// transport/tls; TLS connections of ListenAndServeTLS and ServeTLS stay with std.
	//
	// AcceptOptions.Transport is not used for WebSockets over HTTP/2.
	Transport transport.Factory

	sessions sessions
}

// Names of http.Server.TLSNextProto.
const (
	nextProtoHTTP2     = "h2"
	nextProtoCleartext = "unencrypted_http2"
)

// Configure prepares s, which has not begun to serve. It sets s.TLSNextProto, and adds h2 to the
// protocols of s.TLSConfig, which it makes if there is none. A listener that s gets from elsewhere, by
// Serve, must be made with this TLSConfig, or with another that has h2 in NextProtos. Cleartext HTTP/2
// with prior knowledge is served if s.Protocols has UnencryptedHTTP2. An error says that s can't speak
// HTTP/2 because of its Protocols or its CipherSuites.
//
// Of s.HTTP2 these fields are used: MaxConcurrentStreams (0: h2.DefaultMaxStreams), which also is how
// many handlers run at once for one connection; MaxReceiveBufferPerStream (0: h2.DefaultWindow);
// SendPingTimeout and PingTimeout (0: 15 s). s.MaxHeaderBytes bounds the header of a request (0:
// h2.DefaultMaxHeaderBytes). ReadTimeout and WriteTimeout apply to each request, and end when a
// WebSocket is accepted. IdleTimeout, or else ReadTimeout, ends a connection without streams; without
// both, it may stay for ever. ErrorLog, BaseContext, ConnContext and ConnState have their usual meaning.
//
// A connection holds received data of at most MaxConcurrentStreams times MaxReceiveBufferPerStream bytes,
// 62 MiB by default, if none of its handlers and WebSockets reads. MaxReceiveBufferPerConnection is not
// used.
//
// Shutdown of s lets the open streams end, and waits for them. WebSockets don't end by that: close
// them, for example in a function given to RegisterOnShutdown. Close of s ends all connections, except
// cleartext ones over a Transport other than std: the Close of HTTP2Server ends those, too.
func (p *HTTP2Server) Configure(s *http.Server) error {
	overTLS := s.Protocols == nil || s.Protocols.HTTP2()
	if !overTLS && !s.Protocols.UnencryptedHTTP2() {
		return errors.New("websock: the Protocols of the http.Server don't have HTTP/2")
	}
	if overTLS {
		if err := configureTLS(s); err != nil {
			return err
		}
	}
	if s.TLSNextProto == nil {
		s.TLSNextProto = map[string]func(*http.Server, *stdtls.Conn, http.Handler){}
	}
	s.TLSNextProto[nextProtoHTTP2] = func(s *http.Server, conn *stdtls.Conn, h http.Handler) {
		p.serve(conn, s, h, false)
	}
	s.TLSNextProto[nextProtoCleartext] = func(s *http.Server, conn *stdtls.Conn, h http.Handler) {
		// net/http hides the connection in a tls.Conn, from which it has read the preface.
		if below, ok := conn.NetConn().(interface{ UnencryptedNetConn() net.Conn }); ok {
			p.serve(below.UnencryptedNetConn(), s, h, true)
		}
	}
	s.RegisterOnShutdown(func() { p.sessions.shutdown(s) })
	return nil
}

// configureTLS has s offer HTTP/2 with ALPN.
func configureTLS(s *http.Server) error {
	if s.TLSConfig == nil {
		s.TLSConfig = &stdtls.Config{}
	}
	c := s.TLSConfig
	if c.CipherSuites != nil && c.MinVersion < stdtls.VersionTLS13 && !slices.ContainsFunc(c.CipherSuites, fitForHTTP2) {
		return errors.New("websock: the CipherSuites of the http.Server have none that HTTP/2 allows (RFC 9113 section 9.2.2)")
	}
	protos := []string{nextProtoHTTP2}
	if s.Protocols == nil || s.Protocols.HTTP1() {
		protos = append(protos, "http/1.1")
	}
	for _, proto := range protos {
		if !slices.Contains(c.NextProtos, proto) {
			c.NextProtos = append(slices.Clip(c.NextProtos), proto)
		}
	}
	return nil
}

// fitForHTTP2 reports whether a cipher suite of TLS 1.2 may be used: those with an ephemeral key
// exchange and an AEAD cipher (RFC 9113 section 9.2.2).
func fitForHTTP2(suite uint16) bool {
	switch suite {
	case stdtls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, stdtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		stdtls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, stdtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		stdtls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, stdtls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:
		return true
	}
	return false
}

// checkTLS checks what was negotiated (RFC 9113 section 9.2).
func checkTLS(state stdtls.ConnectionState) error {
	switch {
	case state.Version < stdtls.VersionTLS12:
		return errors.New("websock: HTTP/2 needs TLS 1.2 or later")
	case state.Version == stdtls.VersionTLS12 && !fitForHTTP2(state.CipherSuite):
		return fmt.Errorf("websock: HTTP/2 does not allow the cipher suite %s", stdtls.CipherSuiteName(state.CipherSuite))
	}
	return nil
}

// ServeConn serves a connection on which both sides have agreed upon HTTP/2: by prior knowledge, or with
// ALPN in a TLS handshake that is complete. It needs no http.Server that runs: s has the Handler (nil:
// http.DefaultServeMux) and the settings that Configure names. It owns conn, and returns when the
// connection has ended, with the reason: a *SessionError, that of TLS which HTTP/2 doesn't allow, or the
// error of Transport.
func (p *HTTP2Server) ServeConn(conn net.Conn, s *http.Server) error {
	h := s.Handler
	if h == nil {
		h = http.DefaultServeMux
	}
	defer conn.Close()
	return p.serve(conn, s, h, false)
}

// Close ends all connections now. Those that come later are served.
func (p *HTTP2Server) Close() { p.sessions.close() }

// serve serves a connection until it ends. net/http closes it then.
func (p *HTTP2Server) serve(conn net.Conn, s *http.Server, h http.Handler, prefaceRead bool) error {
	carrier, err := p.attach(conn)
	if err != nil {
		logf(s, "http2: %v: %v", conn.RemoteAddr(), err)
		return err
	}
	ctx, cancel := context.WithCancel(contextOf(conn, s, h))
	defer cancel()
	settings := settingsOf(s)
	requests := &httpserver.Conn{
		Handler:      h,
		Context:      ctx,
		TLS:          carrier.TLS(),
		RemoteAddr:   carrier.RemoteAddr().String(),
		MaxHandlers:  settings.MaxStreams,
		ReadTimeout:  s.ReadTimeout,
		WriteTimeout: s.WriteTimeout,
		Logf:         func(format string, args ...any) { logf(s, format, args...) },
	}
	watch := &sessionWatch{conn: conn, server: s, changes: make(chan struct{}, 1)}
	settings.Request = requests.Request
	settings.Changed = watch.changed
	settings.PrefaceRead = prefaceRead
	closes := p.sessions.begin()
	session, err := h2.NewServer(carrier, settings)
	if err != nil {
		return err
	}
	p.sessions.add(session, s, closes)
	defer p.sessions.remove(session)
	return watch.wait(session)
}

// attach makes the transport that carries the session of a connection.
func (p *HTTP2Server) attach(conn net.Conn) (transport.Conn, error) {
	if secured, ok := conn.(*stdtls.Conn); ok {
		if err := checkTLS(secured.ConnectionState()); err != nil {
			return nil, err
		}
	}
	f := p.Transport
	if f == nil {
		f = std.Transport()
	}
	return Attach(f, conn, nil)
}

// contextOf returns the context of a connection. net/http hands it over in a method of the Handler.
func contextOf(conn net.Conn, s *http.Server, h http.Handler) context.Context {
	if of, ok := h.(interface{ BaseContext() context.Context }); ok {
		return of.BaseContext()
	}
	ctx := context.WithValue(context.Background(), http.ServerContextKey, s)
	return context.WithValue(ctx, http.LocalAddrContextKey, conn.LocalAddr())
}

// settingsOf returns the settings of an http.Server for a session.
func settingsOf(s *http.Server) h2.Config {
	c := h2.Config{MaxHeaderBytes: max(s.MaxHeaderBytes, 0), MaxStreams: h2.DefaultMaxStreams}
	if s.HTTP2 != nil {
		c.Window = max(s.HTTP2.MaxReceiveBufferPerStream, 0)
		if n := s.HTTP2.MaxConcurrentStreams; n > 0 {
			c.MaxStreams = n
		}
	}
	return c
}

// logf writes to the log of an http.Server.
func logf(s *http.Server, format string, args ...any) {
	if s.ErrorLog != nil {
		s.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
