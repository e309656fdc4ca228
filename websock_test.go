package websock

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/cloudwego/netpoll.(*defaultPoll).Wait")) // its pollers never end
}

// echo accepts a connection and sends back what comes.
func echo(t testing.TB, opts *AcceptOptions) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, opts)
		if err != nil {
			return
		}
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
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // failed handshakes are what some tests want
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return "wss" + strings.TrimPrefix(s.URL, "https"), roots
}

// roundTrip sends a message and expects it back, then closes.
func roundTrip(t testing.TB, c *engine.Conn) {
	t.Helper()
	defer func() {
		if err := c.Close(); err != nil {
			t.Error("Close:", err)
		}
	}()
	if err := c.SendText([]byte("Hello")); err != nil {
		t.Fatal(err)
	}
	if op, msg, err := c.RecvMessage(nil); op != engine.OpText || string(msg) != "Hello" || err != nil {
		t.Fatalf("%v %q, %v", op, msg, err)
	}
}

func TestDialOverTCP(t *testing.T) {
	url := server(t, echo(t, nil))
	c, err := Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Role() != engine.Client || !strings.HasSuffix(url, c.RemoteAddr().String()) || c.LocalAddr() == nil {
		t.Errorf("%v from %v to %v", c.Role(), c.LocalAddr(), c.RemoteAddr())
	}
	if got := c.HandshakeHeader().Get("Upgrade"); got != "websocket" {
		t.Errorf("header of the answer: Upgrade %q", got)
	}
	roundTrip(t, c)
}

func TestOpenByNameAndByAddress(t *testing.T) {
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "[::1]"} {
		l, err := net.Listen("tcp", net.JoinHostPort(strings.Trim(host, "[]"), "0"))
		if err != nil {
			t.Skipf("this machine has no address for %s: %v", host, err)
		}
		var hostHeader atomic.Value
		s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			hostHeader.Store(r.Host)
			echo(t, nil)(w, r)
		})}
		go s.Serve(l)
		port := l.Addr().(*net.TCPAddr).Port
		c, err := Open(t.Context(), Config{Host: host, Port: port, Path: "/chat"})
		if err != nil {
			t.Fatal(host, err)
		}
		roundTrip(t, c)
		if want := net.JoinHostPort(strings.Trim(host, "[]"), l.Addr().String()[strings.LastIndex(l.Addr().String(), ":")+1:]); hostHeader.Load() != want {
			t.Errorf("Host %q, want %q", hostHeader.Load(), want)
		}
		s.Close()
	}
}

func TestDialOverAUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Skip("no Unix sockets here:", err)
	}
	var target atomic.Value
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target.Store(r.Host + r.RequestURI)
		echo(t, nil)(w, r)
	})}
	go s.Serve(l)
	defer s.Close()
	escaped := strings.ReplaceAll(path, " ", "%20")
	for url, want := range map[string]string{
		"ws+unix://" + escaped + ":/chat?room=1": "localhost/chat?room=1",
		"ws+unix://" + escaped:                   "localhost/",
		"ws+unix://" + escaped + "?q=1":          "localhost/?q=1",
	} {
		c, err := Dial(t.Context(), url, nil)
		if err != nil {
			t.Fatal(url, err)
		}
		roundTrip(t, c)
		if target.Load() != want {
			t.Errorf("%s asked for %q, want %q", url, target.Load(), want)
		}
	}
}

func TestDialRefusesURLs(t *testing.T) {
	for _, url := range []string{
		"ftp://h/", "h:80", "ws://", "ws:///path", "ws://h:0/", "ws://h:65536/", "ws://h:x/", "ws://user@h/",
		"ws://h/#fragment", "ws://h/#", "ws+unix://", "ws+unix://host/path", "ws://h\n/", "ws://h/a b\x00", "",
	} {
		if _, err := Dial(t.Context(), url, nil); !errors.As(err, new(*HandshakeError)) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := Open(t.Context(), Config{}); !errors.As(err, new(*HandshakeError)) {
		t.Errorf("no host: %v", err)
	}
}

func TestImplicitHeadersAreRefusedBeforeDialling(t *testing.T) {
	dialled := false
	cfg := Config{Host: "h", Header: http.Header{"Sec-WebSocket-Key": {"x"}}, NetDial: func(context.Context, string, string) (net.Conn, error) {
		dialled = true
		return nil, io.EOF
	}}
	if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "Sec-WebSocket-Key") || dialled {
		t.Errorf("%v, dialled %v", err, dialled)
	}
}

func TestTheHandshakeIsAgreedOn(t *testing.T) {
	var request *http.Request
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request = r
		echo(t, &AcceptOptions{Subprotocols: []string{"v2"}, Header: http.Header{"X-Server": {"s"}}})(w, r)
	}))
	cfg := &Config{Subprotocols: []string{"v1", "v2"}, Header: http.Header{"Authorization": {"Bearer x"}}}
	c, err := Dial(t.Context(), url+"/feed?a=b", cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if c.Subprotocol() != "v2" || c.HandshakeHeader().Get("X-Server") != "s" {
		t.Errorf("subprotocol %q, header %v", c.Subprotocol(), c.HandshakeHeader())
	}
	if request.RequestURI != "/feed?a=b" || request.Header.Get("Authorization") != "Bearer x" {
		t.Errorf("%s with %v", request.RequestURI, request.Header)
	}
}

func TestRefusalsCarryTheAnswer(t *testing.T) {
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		http.Error(w, "busy", http.StatusServiceUnavailable)
	}))
	_, err := Dial(t.Context(), url, nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 503 || failed.Header.Get("Retry-After") != "7" || string(failed.Body) != "busy\n" {
		t.Errorf("%+v", err)
	}
}

func TestRedirects(t *testing.T) {
	var credentials []string
	target := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		credentials = append(credentials, r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Own"))
		echo(t, nil)(w, r)
	}))
	var base string
	base = server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/elsewhere":
			http.Redirect(w, r, target+"/there", http.StatusTemporaryRedirect)
		case "/same":
			http.Redirect(w, r, "/end", http.StatusMovedPermanently)
		case "/loop":
			http.Redirect(w, r, base+"/loop", http.StatusFound)
		default:
			credentials = append(credentials, r.Header.Get("Authorization")+r.Header.Get("Cookie")+r.Header.Get("X-Own"))
			echo(t, nil)(w, r)
		}
	}))
	header := http.Header{"Authorization": {"a"}, "Cookie": {"c"}, "X-Own": {"o"}}
	listed := []string{"x-own", "Authorization", "cookie"}
	for _, test := range []struct {
		path    string
		most    int
		allowed []string
		status  int
		sent    string
	}{
		{"/elsewhere", 0, nil, 307, ""},
		{"/elsewhere", 1, nil, 0, ""},
		{"/elsewhere", 1, listed, 0, "o"},
		{"/same", 1, nil, 0, "aco"},
		{"/loop", 5, nil, 302, ""},
	} {
		credentials = nil
		c, err := Dial(t.Context(), base+test.path, &Config{Header: header, MaxRedirects: test.most, RedirectHeader: test.allowed})
		var failed *HandshakeError
		if test.status != 0 {
			if !errors.As(err, &failed) || failed.Status != test.status {
				t.Errorf("%s: %v, want status %d", test.path, err, test.status)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		roundTrip(t, c)
		if strings.Join(credentials, ",") != test.sent {
			t.Errorf("%s: the target got %q, want %q", test.path, credentials, test.sent)
		}
	}
}

func TestDialOverTLS(t *testing.T) {
	var agreed, name string
	url, roots := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agreed, name = r.TLS.NegotiatedProtocol, r.TLS.ServerName
		echo(t, nil)(w, r)
	}), nil)
	config := &tls.Config{RootCAs: roots}
	before := config.Clone()
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "wss://"), ":")
	cfg := &Config{TLS: config, NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}}
	c, err := Dial(t.Context(), "wss://example.com:"+port, cfg) // a name in the server's certificate
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if agreed != "http/1.1" || name != "example.com" {
		t.Errorf("ALPN %q, SNI %q", agreed, name)
	}
	if config.ServerName != before.ServerName || config.NextProtos != nil || config.RootCAs != roots {
		t.Error("the caller's tls.Config was written to")
	}
}

func TestTLSFailuresAreHandshakeErrors(t *testing.T) {
	url, roots := tlsServer(t, echo(t, nil), nil)
	_, err := Dial(t.Context(), url, nil)
	var unknown *tls.CertificateVerificationError
	if !errors.As(err, new(*HandshakeError)) || !errors.As(err, &unknown) {
		t.Errorf("unknown authority: %v", err)
	}
	_, err = Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots, ServerName: "other.example"}})
	var wrongName x509.HostnameError
	if !errors.As(err, new(*HandshakeError)) || !errors.As(err, &wrongName) {
		t.Errorf("wrong name: %v", err)
	}
	plain := server(t, echo(t, nil))
	if _, err = Dial(t.Context(), "wss"+strings.TrimPrefix(plain, "ws"), nil); !errors.As(err, new(*HandshakeError)) {
		t.Errorf("no TLS there: %v", err)
	}
}

func TestTLSWithClientCertificate(t *testing.T) {
	url, roots := tlsServer(t, echo(t, nil), &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
	if c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots}}); err == nil {
		c.Close()
		t.Error("connected without a certificate")
	}
	own := httptest.NewUnstartedServer(nil)
	own.StartTLS()
	defer own.Close()
	c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots, Certificates: own.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestTLSCarriesLargeMessages(t *testing.T) {
	url, roots := tlsServer(t, echo(t, nil), nil)
	c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := bytes.Repeat([]byte("0123456789"), 200000)
	sent := make(chan error, 1)
	go func() { sent <- c.SendBinary(want) }()
	if _, got, err := c.RecvMessage(nil); !bytes.Equal(got, want) || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestTimeoutsOverTLSLoseNothing(t *testing.T) {
	const drip = "drip"
	url, roots := tlsServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for _, b := range []byte(drip) {
			if _, _, err := c.RecvMessage(nil); err != nil {
				t.Error(err)
				return
			}
			c.SendFrame(engine.OpBinary, true, []byte{b})
		}
	}), nil)
	c, err := Dial(t.Context(), url, &Config{TLS: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got []byte
	buf := make([]byte, 10)
	for len(got) < len(drip) {
		if _, _, err := c.RecvTimeout(buf, time.Millisecond); !errors.Is(err, engine.ErrTimeout) {
			t.Fatalf("before the server was asked: %v", err)
		}
		c.SendText([]byte("next"))
		for more := len(got) + 1; len(got) < more; {
			_, n, err := c.RecvTimeout(buf, time.Millisecond)
			if err != nil && !errors.Is(err, engine.ErrTimeout) {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
	}
	if string(got) != drip {
		t.Errorf("%q", got)
	}
}

func TestTimeoutCoversEverythingUpToTheHandshake(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, scheme := range []string{"ws", "wss"} {
		_, err = Dial(t.Context(), scheme+"://"+l.Addr().String(), &Config{Timeout: 20 * time.Millisecond})
		if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", scheme, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = Dial(ctx, "ws://"+l.Addr().String(), &Config{Timeout: -1})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("only the context: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err = Dial(ctx, "ws://"+l.Addr().String(), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
}

func TestNobodyListening(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = Dial(t.Context(), "ws://"+l.Addr().String(), nil)
	var refused *net.OpError
	if !errors.As(err, new(*HandshakeError)) || !errors.As(err, &refused) {
		t.Errorf("%v", err)
	}
}

func TestHandlerGetsDataFromTheFirstByteOn(t *testing.T) {
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + acceptOf(r) + "\r\n\r\n"
		io.WriteString(conn, answer+"\x81\x05early\x88\x02\x03\xe9")
		io.Copy(io.Discard, conn)
	}))
	for range 20 {
		var got []string
		closed := make(chan error, 1)
		h := engine.Messages(
			func(_ *engine.Conn, _ engine.Opcode, msg []byte) { got = append(got, string(msg)) },
			func(_ *engine.Conn, err error) { closed <- err },
		)
		c, err := Dial(t.Context(), url, &Config{Handler: h, Limits: engine.Limits{CloseTimeout: time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		var end *engine.CloseError
		if err := <-closed; !errors.As(err, &end) || end.Code != engine.CloseGoingAway {
			t.Error(err)
		}
		if len(got) != 1 || got[0] != "early" {
			t.Errorf("%q", got)
		}
		c.Close()
	}
}

func TestARedirectThatIsRefusedSaysWhy(t *testing.T) {
	url := server(t, http.RedirectHandler("ftp://elsewhere/", http.StatusFound))
	_, err := Dial(t.Context(), url, &Config{MaxRedirects: 1})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusFound || !strings.Contains(err.Error(), "ftp") {
		t.Errorf("%v", err)
	}
}

func TestTheServerHasTheLastWord(t *testing.T) {
	url := server(t, echo(t, &AcceptOptions{CheckRequest: func(r *http.Request) error {
		if r.Header.Get("Authorization") == "" {
			return &HandshakeError{Status: http.StatusUnauthorized, Reason: "no key"}
		}
		return nil
	}}))
	_, err := Dial(t.Context(), url, nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusUnauthorized || string(failed.Body) != "no key\n" {
		t.Errorf("%v", err)
	}
	c, err := Dial(t.Context(), url, &Config{Header: http.Header{"Authorization": {"x"}}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestAcceptWithAHandler(t *testing.T) {
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := Accept(w, r, &AcceptOptions{Handler: engine.Messages(func(c *engine.Conn, op engine.Opcode, msg []byte) {
			c.SendFrame(op, true, msg)
		}, nil)})
		if err != nil {
			t.Error(err)
		}
	}))
	c, err := Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

// refusing is a Transport that takes nothing.
type refusing struct{}

func (refusing) Attach(net.Conn, []byte) (transport.Conn, error) { return nil, os.ErrInvalid }

// pullOnly makes transports that can't push.
type pullOnly struct{}

func (pullOnly) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return struct{ transport.Conn }{std.New(conn, early)}, nil
}

func TestTransportsMayRefuse(t *testing.T) {
	url := server(t, echo(t, nil))
	if _, err := Dial(t.Context(), url, &Config{Transport: refusing{}}); !errors.Is(err, os.ErrInvalid) || !errors.As(err, new(*HandshakeError)) {
		t.Errorf("%v", err)
	}
	_, err := Dial(t.Context(), url, &Config{Transport: pullOnly{}, Handler: engine.Messages(nil, nil), Limits: engine.Limits{CloseTimeout: time.Second}})
	if !errors.Is(err, engine.ErrNoPush) || !errors.As(err, new(*HandshakeError)) {
		t.Errorf("%v", err)
	}
	c, err := Dial(t.Context(), url, &Config{Transport: pullOnly{}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestLimitsReachBothRoles(t *testing.T) {
	url := server(t, echo(t, &AcceptOptions{Limits: engine.Limits{MessageSize: 10}}))
	c, err := Dial(t.Context(), url, &Config{Limits: engine.Limits{MessageSize: 5}})
	if err != nil {
		t.Fatal(err)
	}
	c.SendText([]byte("1234567"))
	if _, _, err := c.RecvMessage(nil); !errors.As(err, new(*engine.LimitError)) {
		t.Errorf("client: %v", err)
	}
	c.Close()
	if c, err = Dial(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SendText([]byte("more than ten bytes"))
	var closed *engine.CloseError
	if _, _, err := c.RecvMessage(nil); !errors.As(err, &closed) || closed.Code != engine.CloseMessageTooBig {
		t.Errorf("server: %v", err)
	}
}

func TestRecoverIsForBothRoles(t *testing.T) {
	recovered := make(chan any, 1)
	tell := func(_ *Conn, v any) { recovered <- v }
	panics := engine.Messages(func(_ *engine.Conn, _ engine.Opcode, msg []byte) { panic(string(msg)) }, nil)
	for _, role := range []engine.Role{engine.Client, engine.Server} {
		url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			opts := &AcceptOptions{Recover: tell}
			if role == engine.Server {
				opts.Handler = panics
			}
			c, err := Accept(w, r, opts)
			if err != nil {
				t.Error(err)
				return
			}
			if role == engine.Client {
				c.SendText([]byte("client"))
				c.RecvMessage(nil)
				c.Close()
			}
		}))
		cfg := &Config{Recover: tell}
		if role == engine.Client {
			cfg.Handler = panics
		}
		c, err := Dial(t.Context(), url, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if role == engine.Server {
			c.SendText([]byte("server"))
			c.RecvMessage(nil)
		}
		if got := <-recovered; got != role.String() {
			t.Errorf("%v: Recover got %v", role, got)
		}
		c.Close()
	}
}
