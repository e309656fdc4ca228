package websock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// A fakeSession is a muxSession whose streams are a number.
type fakeSession struct {
	conn *muxConn

	mu          sync.Mutex
	most        int // streams that the peer allows
	streams     int
	goingAway   bool
	err         error
	corks       int
	flushes     int
	corkedOpens int // calls of Open under a Cork
}

func (s *fakeSession) Open([]hpack.HeaderField, bool) (*h2.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.corks > 0 {
		s.corkedOpens++
	}
	if s.err != nil {
		return nil, s.err
	}
	if s.roomLocked() == 0 {
		return nil, h2.ErrNoRoom
	}
	s.streams++
	return nil, nil
}

func (s *fakeSession) openStream(context.Context, []hpack.HeaderField) (transport.Conn, handshake.ResponseHead, error) {
	panic("the pool opens no streams")
}

func (s *fakeSession) roomLocked() int {
	if s.goingAway || s.err != nil {
		return 0
	}
	return max(min(s.most, s.conn.host.mux.streamsPerConn())-s.streams, 0)
}

func (s *fakeSession) Room() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.roomLocked()
}

func (s *fakeSession) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams
}

func (s *fakeSession) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *fakeSession) GoingAway() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goingAway || s.err != nil
}

func (s *fakeSession) keepAlive(p *keepalive.Policy) *keepalive.Policy { return p }

func (s *fakeSession) Cork()  { s.change(func() { s.corks++ }) }
func (s *fakeSession) Flush() { s.change(func() { s.corks--; s.flushes++ }) }

// change changes the session without telling the pool.
func (s *fakeSession) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// changeAndTell changes the session and tells the pool, as a Session does.
func (s *fakeSession) changeAndTell(f func()) {
	s.change(f)
	s.conn.changed()
}

func (s *fakeSession) Shutdown() {
	s.changeAndTell(func() {
		s.goingAway = true
		if s.streams == 0 {
			s.err = &h2.SessionError{}
		}
	})
}

func (s *fakeSession) Close(code http2.ErrCode, cause error) {
	s.changeAndTell(func() { s.err = &h2.SessionError{Code: code, Err: cause} })
}

// end ends n streams.
func (s *fakeSession) end(n int) { s.changeAndTell(func() { s.streams -= n }) }

// A fakeMuxDialer hands the connections that it is asked to dial to the test.
type fakeMuxDialer struct{ dials chan dialInProgress }

type dialInProgress struct {
	ctx  context.Context
	conn *muxConn
}

func newFakeMuxDialer() *fakeMuxDialer { return &fakeMuxDialer{make(chan dialInProgress, 100)} }

func (d *fakeMuxDialer) startDial(ctx context.Context, c *muxConn) { d.dials <- dialInProgress{ctx, c} }

// opens makes a dial succeed, with a session whose peer allows most streams.
func (d dialInProgress) opens(most int) *fakeSession {
	s := &fakeSession{conn: d.conn, most: most}
	if !d.conn.opened(s) {
		s.Close(http2.ErrCodeNo, nil)
	}
	return s
}

// A streamServer accepts WebSockets over HTTP/2, with TLS or without, and over HTTP/1.1 if a client
// asks for that with ALPN.
type streamServer struct {
	addr  string
	roots *x509.CertPool // nil: no TLS
	http1 chan net.Conn

	mu       sync.Mutex
	sessions []*h2.Session
}

// A streamServerConfig says what a streamServer does.
type streamServerConfig struct {
	network   string   // "": tcp
	protocols []string // ALPN; nil: h2 and http/1.1
	cleartext bool
	h2        h2.Config // without a Request: echoStream
}

func newStreamServer(t testing.TB, c streamServerConfig) *streamServer {
	t.Helper()
	network, addr := "tcp", "127.0.0.1:0"
	if c.network == "unix" {
		netpair.RequireUnix(t)
		network, addr = "unix", t.TempDir()+"/s"
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &streamServer{addr: l.Addr().String(), http1: make(chan net.Conn)}
	if !c.cleartext {
		issuer := httptest.NewUnstartedServer(nil) // for its certificate
		issuer.StartTLS()
		defer issuer.Close()
		s.roots = x509.NewCertPool()
		s.roots.AddCert(issuer.Certificate())
		protocols := c.protocols
		if protocols == nil {
			protocols = []string{"h2", "http/1.1"}
		}
		l = wstls.NewListener(l, &tls.Config{Certificates: issuer.TLS.Certificates, NextProtos: protocols})
	}
	if c.h2.Request == nil {
		c.h2.Request = echoStream
	}
	web := &http.Server{Handler: echo(t, nil)}
	go web.Serve(s)
	go s.accept(l, c.h2)
	t.Cleanup(func() {
		l.Close()
		web.Close()
		s.each(func(session *h2.Session) { session.Close(http2.ErrCodeNo, nil) })
	})
	return s
}

// accept accepts connections until l is closed.
func (s *streamServer) accept(l net.Listener, config h2.Config) {
	defer close(s.http1)
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		if secured, ok := conn.(*tls.Conn); ok {
			if secured.Handshake() != nil {
				conn.Close()
				continue
			}
			if secured.ConnectionState().NegotiatedProtocol != "h2" {
				s.http1 <- conn
				continue
			}
		}
		carrier, err := Attach(std.Transport(), conn, nil)
		if err != nil {
			panic(err)
		}
		s.mu.Lock() // so that a session that serves is among the sessions
		if session, err := h2.NewServer(carrier, config); err == nil {
			s.sessions = append(s.sessions, session)
		}
		s.mu.Unlock()
	}
}

// Accept, Close and Addr make a streamServer the net.Listener of its server of HTTP/1.1.
func (s *streamServer) Accept() (net.Conn, error) {
	conn, ok := <-s.http1
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (s *streamServer) Close() error   { return nil }
func (s *streamServer) Addr() net.Addr { return &net.TCPAddr{} }

// each calls f with each session that there was.
func (s *streamServer) each(f func(*h2.Session)) {
	s.mu.Lock()
	sessions := append([]*h2.Session(nil), s.sessions...)
	s.mu.Unlock()
	for _, session := range sessions {
		f(session)
	}
}

// accepted returns how many sessions there were.
func (s *streamServer) accepted() (n int) {
	s.each(func(*h2.Session) { n++ })
	return n
}

// url returns the URL of the server.
func (s *streamServer) url() string {
	scheme := "ws"
	if s.roots != nil {
		scheme = "wss"
	}
	if strings.HasPrefix(s.addr, "/") {
		return scheme + "+unix://" + s.addr + ":/"
	}
	return scheme + "://" + s.addr + "/"
}

// patientLimits have a bound for the closing handshake that only a fault reaches.
var patientLimits = Limits{CloseTimeout: time.Minute}

// config returns a Config for clients of the server.
func (s *streamServer) config(m *Mux) *Config {
	if s.roots == nil {
		m.Cleartext = true
	}
	return &Config{Mux: m, Proxy: NoProxy, TLS: &tls.Config{RootCAs: s.roots, ServerName: "example.com"}, Limits: patientLimits}
}

// echoStream accepts a WebSocket that sends every message back.
func echoStream(st *h2.Stream, h h2.Head) {
	acceptStream(st).SetHandler(Messages(func(c *Conn, op Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil))
}

// acceptStream accepts a WebSocket.
func acceptStream(st *h2.Stream) *Conn {
	respond(st, "200", false)
	return NewConn(st, Server, Options{})
}

// respond sends the head of a response; header are names and values.
func respond(st *h2.Stream, status string, end bool, header ...string) {
	fields := []hpack.HeaderField{{Name: ":status", Value: status}}
	for i := 0; i < len(header); i += 2 {
		fields = append(fields, hpack.HeaderField{Name: header[i], Value: header[i+1]})
	}
	st.SendHead(fields, end)
}

// fieldOf returns a field of a head.
func fieldOf(h h2.Head, name string) string {
	for _, f := range h.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// deafStreamServer runs a server that agrees to every request, answers nothing else, and sends the
// headers of the frames that it gets to frames. It returns its address.
func deafStreamServer(t *testing.T, frames chan<- http2.FrameHeader) string {
	return rawServer(t, func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
		f := http2.NewFramer(conn, conn)
		f.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			frames <- frame.Header()
			if h, ok := frame.(*http2.HeadersFrame); ok {
				f.WriteHeaders(http2.HeadersFrameParam{StreamID: h.StreamID, BlockFragment: []byte{0x88}, EndHeaders: true}) // :status 200
			}
		}
	})
}
