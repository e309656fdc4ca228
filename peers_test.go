package websock

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"

	"go.uber.org/goleak"
	"golang.org/x/net/dns/dnsmessage"
)

// TestMain lets more tests run at the same time than there are processors: those that are parallel
// mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		parallel.Value.Set("6")
	}
	leak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait")) // its pollers never end
}

// echo returns a handler that accepts a connection and sends every message back.
func echo(t testing.TB, opts *AcceptOptions) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
		echoAll(c)
	}
}

// echoAll sends every message back, until the connection ends.
func echoAll(c *Conn) {
	defer c.Close()
	var msg []byte
	for {
		op, m, err := c.RecvMessage(msg[:0])
		if err != nil {
			return
		}
		msg = m
		if err := c.SendFrame(op, true, m); err != nil {
			return
		}
	}
}

// acceptInto returns a handler that accepts a connection, sends it to conns and calls then.
func acceptInto(opts *AcceptOptions, conns chan<- *Conn, then func(*Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
		conns <- c
		then(c)
	}
}

// server runs an HTTP server and returns its ws URL.
func server(t testing.TB, h http.Handler) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

// tlsServer runs an HTTPS server and returns its wss URL and a pool with its
// certificate.
func tlsServer(t testing.TB, h http.Handler, config *tls.Config) (string, *x509.CertPool) {
	s := httptest.NewUnstartedServer(h)
	s.TLS = config
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // some tests make handshakes fail
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return "wss" + strings.TrimPrefix(s.URL, "https"), roots
}

// roundTrip sends a message and expects it back, then closes.
func roundTrip(t testing.TB, c *Conn) {
	t.Helper()
	defer func() {
		giveMinuteToClose(c)
		if err := c.Close(); err != nil {
			t.Error("Close:", err)
		}
	}()
	if err := c.SendText([]byte("Hello")); err != nil {
		t.Fatal(err)
	}
	if op, msg, err := c.RecvMessage(nil); op != OpText || string(msg) != "Hello" || err != nil {
		t.Fatalf("%v %q, %v", op, msg, err)
	}
}

// giveMinuteToClose sets Limits.CloseTimeout of a connection without a Handler to a minute, which the peer
// needs only if there is a fault. The goroutine that receives must call it.
func giveMinuteToClose(c *Conn) {
	c.batch.mu.Lock()
	defer c.batch.mu.Unlock()
	config := *c.batch.config // which other connections share
	config.limits.CloseTimeout = time.Minute
	c.batch.config = &config
}

// recordHeaders returns a handler that appends the headers of each request to got and redirects it
// to location, or is that of echo if location is "".
func recordHeaders(t *testing.T, got *[]string, location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		*got = append(*got, r.Host+" "+r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Own"))
		if location == "" {
			echo(t, nil)(w, r)
			return
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusPermanentRedirect)
	}
}

// acceptOf computes the Sec-WebSocket-Accept for a request (RFC 6455 section
// 4.2.2).
func acceptOf(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// rawServer runs a TCP server that calls serve for each connection, and returns its address.
func rawServer(t *testing.T, serve func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return l.Addr().String()
}

func sends(text string) func(net.Conn) {
	return func(conn net.Conn) {
		io.WriteString(conn, text)
		io.Copy(io.Discard, conn)
	}
}

// neverReads returns a handler that accepts a connection and doesn't read from it until release is
// called.
func neverReads(t *testing.T) (handler http.HandlerFunc, release func()) {
	done := make(chan struct{})
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		<-done
		c.Abort(nil)
	}, func() { close(done) }
}

// splice copies bytes in both directions until both connections have ended.
func splice(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		io.Copy(a, b)
		a.Close()
		close(done)
	}()
	io.Copy(b, a)
	b.Close()
	<-done
}

// connectProxy returns an HTTP proxy that connects every CONNECT to backend, if its credentials are
// those of user.
func connectProxy(t *testing.T, backend string, user *url.Userinfo, requests *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*requests = append(*requests, r.Method+" "+r.RequestURI)
		if user != nil {
			r.Header.Set("Authorization", r.Header.Get("Proxy-Authorization"))
			name, password, _ := r.BasicAuth()
			if url.UserPassword(name, password).String() != user.String() {
				http.Error(w, "who are you?", http.StatusProxyAuthRequired)
				return
			}
		}
		target, err := net.Dial("tcp", backend)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		splice(conn, target)
	})
}

// socksProxy runs a SOCKS5 proxy with one user that connects every request to backend (RFC 1928, RFC
// 1929).
func socksProxy(t *testing.T, backend, user, password string, requests *[]string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serveSOCKS(conn, backend, user, password, requests)
		}
	}()
	return l.Addr().String()
}

func serveSOCKS(conn net.Conn, backend, user, password string, requests *[]string) {
	defer conn.Close()
	read := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(conn, b)
		return b
	}
	read(int(read(2)[1])) // the methods offered
	conn.Write([]byte{5, 2})
	name := string(read(int(read(2)[1])))
	if name != user || string(read(int(read(1)[0]))) != password {
		conn.Write([]byte{1, 1})
		return
	}
	conn.Write([]byte{1, 0})
	read(4) // connect, to a name
	host := string(read(int(read(1)[0])))
	read(2)
	*requests = append(*requests, host)
	target, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	splice(conn, target)
}

// proxyAt returns a Config.Proxy that uses the proxy with this URL.
func proxyAt(rawURL string) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) { return url.Parse(rawURL) }
}

// nameServer runs a DNS server over UDP that knows the A and AAAA of one name, and returns its
// address.
func nameServer(t *testing.T, name string, a [4]byte, aaaa [16]byte) string {
	const unsupported = syscall.Errno(10045) // WSAEOPNOTSUPP
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if errors.Is(err, unsupported) {
		t.Skipf("Wine lacks an option of UDP sockets that package net sets: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
			switch {
			case q.Name.String() != name+".":
				m.RCode = dnsmessage.RCodeNameError
			case q.Type == dnsmessage.TypeA:
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AResource{A: a}}}
			case q.Type == dnsmessage.TypeAAAA:
				m.Answers = []dnsmessage.Resource{{Header: h, Body: &dnsmessage.AAAAResource{AAAA: aaaa}}}
			}
			if answer, err := m.Pack(); err == nil {
				conn.WriteTo(answer, from)
			}
		}
	}()
	return conn.LocalAddr().String()
}

// dialTo returns a dial function that always connects to addr.
func dialTo(addr string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// dialLoopback connects to the port of addr on loopback.
func dialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
}

// dialWithoutDeadlines returns a dial function that connects to addr. The connection doesn't support
// deadlines.
func dialWithoutDeadlines(addr string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return netpair.WithoutDeadlines(conn), nil
	}
}

// eachWithoutDeadlines runs f with a client over ws and over wss whose connections have no
// deadlines, to a server that runs handler.
func eachWithoutDeadlines(t *testing.T, handler http.Handler, cfg Config, f func(t *testing.T, c *Conn)) {
	plain := server(t, handler)
	secure, roots := tlsServer(t, handler, nil)
	for _, target := range []string{plain, secure} {
		scheme, addr, _ := strings.Cut(target, "://")
		t.Run(scheme, func(t *testing.T) {
			cfg := cfg
			cfg.Proxy, cfg.NetDial, cfg.TLS = NoProxy, dialWithoutDeadlines(addr), &tls.Config{RootCAs: roots}
			c, err := Dial(t.Context(), target, &cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Abort(nil)
			f(t, c)
		})
	}
}

// countedConn is a connection that open counts until it is closed.
type countedConn struct {
	net.Conn
	open   *atomic.Int32
	closed atomic.Bool
}

func (c *countedConn) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// notifyingConn is a connection that closes a channel when it is closed.
type notifyingConn struct {
	net.Conn
	closed chan struct{}
}

func (c notifyingConn) Close() error {
	close(c.closed)
	return c.Conn.Close()
}

// unknownTLS is a TLS connection without the method ConnectionState.
type unknownTLS struct{ net.Conn }

// unclosable is a connection to a silent peer. It doesn't support deadlines, and its Close waits for
// the peer.
type unclosable struct {
	net.Conn
	until <-chan struct{}
}

func (d unclosable) Read([]byte) (int, error) { <-d.until; return 0, io.EOF }

func (unclosable) Write(p []byte) (int, error) { return len(p), nil }

func (d unclosable) Close() error { <-d.until; return nil }

func (unclosable) SetDeadline(time.Time) error { return errors.ErrUnsupported }

func (unclosable) SetReadDeadline(time.Time) error { return errors.ErrUnsupported }

func (unclosable) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// tunnelListener accepts connections that don't support deadlines.
type tunnelListener struct{ net.Listener }

func (l tunnelListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return netpair.WithoutDeadlines(conn), nil
}

// rejectingTransport is a Factory that can't attach anything.
type rejectingTransport struct{}

func (rejectingTransport) Attach(net.Conn, []byte) (transport.Conn, error) { return nil, os.ErrInvalid }

// pullOnly is a Factory whose transports can't push.
type pullOnly struct{}

func (pullOnly) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return struct{ transport.Conn }{std.New(conn, early)}, nil
}

// tlsAttacher is a TLSFactory that records the connections that it attaches.
type tlsAttacher struct {
	plain, secured []net.Conn
	tlsErr         error // the error of AttachTLS
}

func (a *tlsAttacher) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	a.plain = append(a.plain, conn)
	return std.New(conn, early), nil
}

func (a *tlsAttacher) AttachTLS(conn net.Conn, early []byte) (transport.Conn, error) {
	a.secured = append(a.secured, conn)
	if a.tlsErr != nil {
		return nil, a.tlsErr
	}
	return std.New(conn, early), nil
}

// tlsReserver is a Reserver whose Reservations are those of its tlsAttacher.
type tlsReserver struct{ *tlsAttacher }

func (r tlsReserver) Reserve() (transport.Reservation, error) { return r, nil }
func (tlsReserver) Release()                                  {}

// pausing is a Handler that pauses after every call of OnData.
type pausing struct {
	msg   []byte
	calls int
	whole chan<- []byte
}

func (p *pausing) OnData(c *Conn, h Header, payload []byte) {
	p.msg = append(p.msg, payload...)
	p.calls++
	c.Pause()
	if h.Fin && h.Remaining == 0 {
		p.whole <- p.msg
	}
	go c.Resume()
}

func (p *pausing) OnClose(*Conn, error) {}

// recordTrace returns a Trace that appends its calls to steps.
func recordTrace(steps *[]string) *Trace {
	note := func(format string, args ...any) { *steps = append(*steps, fmt.Sprintf(format, args...)) }
	return &Trace{
		DialStart: func(network, addr string) { note("dial %s %s", network, addr) },
		DialDone: func(network, addr string, conn net.Conn, err error) {
			note("dialled %v %v", conn != nil, err == nil)
		},
		ProxyStart: func(proxy *url.URL, addr string) { note("proxy %s %s", proxy.Scheme, addr) },
		ProxyDone:  func(proxy *url.URL, addr string, err error) { note("proxied %v", err == nil) },
		TLSStart:   func(host string) { note("TLS %s", host) },
		TLSDone: func(host string, state tls.ConnectionState, err error) {
			note("secured %v %v", state.HandshakeComplete, err == nil)
		},
		HandshakeStart: func(host string) { note("ask %s", host) },
		FirstByte:      func() { note("first byte") },
		HandshakeDone:  func(host string, err error) { note("opened %v", err == nil) },
	}
}

// mustReturn calls f and fails the test if f doesn't return within a minute.
func mustReturn(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		buf := make([]byte, 1<<16)
		t.Fatalf("%s hangs\n%s", what, buf[:runtime.Stack(buf, true)])
	}
}

// dialingTransport is a Transport that dials, counts how often it does, and keeps the last connection.
type dialingTransport struct {
	transport.Factory
	dialled int
	last    net.Conn
}

func (d *dialingTransport) DialTCP(ctx context.Context, addr netip.AddrPort) (conn net.Conn, err error) {
	d.dialled++
	d.last, err = new(net.Dialer).DialContext(ctx, "tcp", addr.String())
	return d.last, err
}

// countingReserver is a Transport that counts the reservations that were not released.
type countingReserver struct{ reserved atomic.Int64 }

func (r *countingReserver) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return std.Transport().Attach(conn, early)
}

func (r *countingReserver) Reserve() (transport.Reservation, error) {
	r.reserved.Add(1)
	return countedReservation{r}, nil
}

type countedReservation struct{ *countingReserver }

func (r countedReservation) Release() { r.reserved.Add(-1) }
