package h3_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/h3"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// A server serves HTTP/3 on this machine.
type server struct {
	http3  *http3.Server
	addr   netip.AddrPort
	config *tls.Config // of a client
	mux    *websock.Mux
}

func newServer(t testing.TB, h http.HandlerFunc, options ...func(*http3.Server)) *server {
	t.Helper()
	udp := listenUDP(t)
	config, roots := certificate()
	s := &server{
		http3:  &http3.Server{Handler: h, TLSConfig: config, QUICConfig: endlessHandshake},
		addr:   udp.LocalAddr().(*net.UDPAddr).AddrPort(),
		config: &tls.Config{RootCAs: roots},
		mux:    newMux(),
	}
	for _, set := range options {
		set(s.http3)
	}
	h3.ConfigureServer(s.http3)
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.http3.Serve(udp)
	}()
	t.Cleanup(func() {
		s.mux.Close()
		s.http3.Close()
		udp.Close()
		<-served
	})
	return s
}

// newMux returns a Mux that uses nothing but HTTP/3.
func newMux() *websock.Mux {
	return &websock.Mux{HTTP3: newDialer()}
}

// newDialer returns a Dialer that gives servers time.
func newDialer() *h3.Dialer {
	return &h3.Dialer{Required: true, Timeout: patience, QUIC: endlessHandshake}
}

// listenUDP returns a UDP socket on this machine.
func listenUDP(t testing.TB) *net.UDPConn {
	t.Helper()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close() })
	return udp
}

// dial opens a WebSocket.
func (s *server) dial(t testing.TB, cfg websock.Config) (*websock.Conn, error) {
	t.Helper()
	if cfg.Mux == nil {
		cfg.Mux = s.mux
	}
	return s.dialAny(t, cfg)
}

// dialAny opens a WebSocket, with HTTP/1.1 if there is no Mux.
func (s *server) dialAny(t testing.TB, cfg websock.Config) (*websock.Conn, error) {
	t.Helper()
	cfg.TLS = s.config
	cfg.Limits.CloseTimeout = cmp.Or(cfg.Limits.CloseTimeout, patience)
	cfg.Timeout = cmp.Or(cfg.Timeout, patience)
	return websock.Dial(context.Background(), "wss://"+s.addr.String()+"/", &cfg)
}

// mustDial opens a WebSocket.
func (s *server) mustDial(t testing.TB, cfg websock.Config) *websock.Conn {
	t.Helper()
	c, err := s.dial(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// target returns what a Dialer needs to know of the server.
func (s *server) target() transport.StreamTarget {
	host := s.addr.Addr().String()
	return transport.StreamTarget{
		Host:           host,
		Port:           int(s.addr.Port()),
		TLS:            wstls.ClientConfig(host, s.config, http3.NextProtoH3),
		MaxStreams:     100,
		MaxHeaderBytes: 64 << 10,
		Changed:        func() {},
	}
}

// session connects to the server.
func (s *server) session(t testing.TB) transport.StreamSession {
	t.Helper()
	session, err := newDialer().DialStreams(context.Background(), s.target())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close(nil) })
	return session
}

// fields returns the header list of a request for a WebSocket.
func (s *server) fields() []hpack.HeaderField {
	return []hpack.HeaderField{
		{Name: ":method", Value: http.MethodConnect},
		{Name: ":protocol", Value: "websocket"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: s.addr.String()},
		{Name: ":path", Value: "/"},
		{Name: "sec-websocket-version", Value: "13"},
	}
}

// echo is a handler that sends back what it receives.
func echo(w http.ResponseWriter, r *http.Request) {
	websock.Accept(w, r, &websock.AcceptOptions{Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, p []byte) {
		c.SendFrame(op, true, p)
	}, nil)})
}

// wantEcho sends a message and receives it again.
func wantEcho(t testing.TB, c *websock.Conn, msg string) {
	t.Helper()
	if err := c.SendText([]byte(msg)); err != nil {
		t.Fatal(err)
	}
	c.SetRecvDeadline(time.Now().Add(patience))
	if _, got, err := c.RecvMessage(nil); string(got) != msg || err != nil {
		t.Fatalf("received %d bytes, %v", len(got), err)
	}
}

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// idleTimeout is a MaxIdleTimeout for which no machine stands still.
const idleTimeout = 10 * time.Second

// endlessHandshake leaves it to a Dialer how long a server may be silent.
var endlessHandshake = &quic.Config{HandshakeIdleTimeout: time.Hour}

// endingIdle ends a connection on which nothing arrives for idleTimeout.
var endingIdle = &quic.Config{MaxIdleTimeout: idleTimeout, HandshakeIdleTimeout: time.Hour}

// waitUntil waits until a condition holds.
func waitUntil(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("still not: %s", what)
		}
	}
}

// A proxy forwards the packets of one client to a server.
type proxy struct {
	front *net.UDPConn

	mu     sync.Mutex
	back   *net.UDPConn // what the server sees as the client
	server netip.AddrPort
	client netip.AddrPort
	loses  func() bool // reports whether the next packet is lost; nil: none is
	lost   int
	twice  func() bool          // reports whether it is sent twice; nil: no
	late   func() time.Duration // returns how much later than the next ones it is sent; nil: not at all
}

func newProxy(t testing.TB, server netip.AddrPort) *proxy {
	p := &proxy{front: listenUDP(t), back: listenUDP(t), server: server}
	go p.forward(p.front, func(from netip.AddrPort, packet []byte) {
		p.client = from
		p.back.WriteToUDPAddrPort(packet, p.server)
	})
	go p.answer(p.back)
	return p
}

func (p *proxy) addr() netip.AddrPort { return p.front.LocalAddr().(*net.UDPAddr).AddrPort() }

// answer forwards what the server sends to a socket.
func (p *proxy) answer(back *net.UDPConn) {
	p.forward(back, func(_ netip.AddrPort, packet []byte) { p.front.WriteToUDPAddrPort(packet, p.client) })
}

// forward calls send, with the lock held, for each packet that isn't lost.
func (p *proxy) forward(from *net.UDPConn, send func(from netip.AddrPort, packet []byte)) {
	b := make([]byte, 64<<10)
	for {
		n, sender, err := from.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		p.mu.Lock()
		switch {
		case p.loses != nil && p.loses():
			p.lost++
		case p.twice != nil && p.twice():
			send(sender, b[:n])
			send(sender, b[:n])
		case p.late != nil:
			p.sendLater(p.late(), bytes.Clone(b[:n]), func(packet []byte) { send(sender, packet) })
		default:
			send(sender, b[:n])
		}
		p.mu.Unlock()
	}
}

// sendLater calls send, with the lock held, after a while.
func (p *proxy) sendLater(d time.Duration, packet []byte, send func(packet []byte)) {
	time.AfterFunc(d, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		send(packet)
	})
}

// lose has the proxy lose packets.
func (p *proxy) lose(loses func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loses = loses
}

// moveClient has the client come from another port.
func (p *proxy) moveClient(t testing.TB) {
	back := listenUDP(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.back.Close()
	p.back = back
	go p.answer(back)
}

// moveServer has another server get the packets.
func (p *proxy) moveServer(server netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// newTCPServer serves HTTP/1.1, and nothing over UDP.
func newTCPServer(t testing.TB, h http.HandlerFunc) *server {
	l := httptest.NewTLSServer(h)
	t.Cleanup(l.Close)
	addr := l.Listener.Addr().(*net.TCPAddr).AddrPort()
	udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr)) // which no other server gets meanwhile
	if err != nil {
		return newTCPServer(t, h)
	}
	t.Cleanup(func() { udp.Close() })
	roots := x509.NewCertPool()
	roots.AddCert(l.Certificate())
	return &server{addr: addr, config: &tls.Config{RootCAs: roots}}
}

// A ticketCache is a tls.ClientSessionCache that says when it has a ticket.
type ticketCache struct {
	tls.ClientSessionCache
	came chan struct{}
}

func newTicketCache() *ticketCache {
	return &ticketCache{tls.NewLRUClientSessionCache(1), make(chan struct{}, 10)}
}

func (c *ticketCache) Put(key string, state *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, state)
	c.came <- struct{}{}
}

// await waits for a ticket.
func (c *ticketCache) await(t testing.TB) {
	select {
	case <-c.came:
	case <-time.After(patience):
		t.Fatal("no ticket came")
	}
}
