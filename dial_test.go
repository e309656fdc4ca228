package websock

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
	"weak"

	"github.com/seed004e8d11/websock/internal/loopback"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestDialOverTCP(t *testing.T) {
	url := server(t, echo(t, nil))
	c, err := Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Role() != Client || !strings.HasSuffix(url, c.RemoteAddr().String()) || c.LocalAddr() == nil {
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
	netpair.RequireUnix(t)
	path := filepath.Join(t.TempDir(), "a b.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
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
			t.Errorf("%s requested %q, want %q", url, target.Load(), want)
		}
	}
}

func TestDialRejectsInvalidURLs(t *testing.T) {
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

func TestURLsMayHaveCharactersOutsideASCII(t *testing.T) {
	var got string
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			conn, _, _ := http.NewResponseController(w).Hijack()
			conn.Write([]byte("HTTP/1.1 302 Found\r\nLocation: /näher dran?wo=hier und da\r\nContent-Length: 0\r\n\r\n"))
			conn.Close()
			return
		}
		got = r.Host + r.RequestURI
		echo(t, nil)(w, r)
	}))
	addr := strings.TrimPrefix(url, "ws://")
	_, port, _ := net.SplitHostPort(addr)
	for raw, want := range map[string]string{
		"http://bücher.example:" + port + "/ä ö?ü=a b": "xn--bcher-kva.example:" + port + "/%C3%A4%20%C3%B6?%C3%BC=a%20b",
		"ws://bücher.example:" + port + "/moved":       "xn--bcher-kva.example:" + port + "/n%C3%A4her%20dran?wo=hier%20und%20da",
	} {
		c, err := Dial(t.Context(), raw, &Config{Proxy: NoProxy, NetDial: dialTo(addr), MaxRedirects: 1, Transport: std.Transport()})
		if err != nil {
			t.Error(raw, err)
			continue
		}
		roundTrip(t, c)
		if got != want {
			t.Errorf("%s: requested %q, want %q", raw, got, want)
		}
	}
}

func TestHeadersThatOpenSetsAreRejectedBeforeDialing(t *testing.T) {
	dialled := false
	cfg := Config{Host: "h", Header: http.Header{"Sec-WebSocket-Key": {"x"}}, NetDial: func(context.Context, string, string) (net.Conn, error) {
		dialled = true
		return nil, io.EOF
	}}
	if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "Sec-WebSocket-Key") || dialled {
		t.Errorf("%v, dialled %v", err, dialled)
	}
}

func TestTheHostHeaderCanDifferFromTheAddress(t *testing.T) {
	var got []string
	url := server(t, recordHeaders(t, &got, ""))
	c, err := Dial(t.Context(), url, &Config{HostHeader: "feed.example:8443"})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if got[0] != "feed.example:8443 " {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"a b", "h\r\nX: y", "h/x\n", "ü"} {
		if _, err := Dial(t.Context(), url, &Config{HostHeader: bad}); err == nil {
			t.Errorf("HostHeader %q is sent", bad)
		}
	}
	if len(got) != 1 {
		t.Errorf("%q", got)
	}
}

func TestDialSendsHeadersAndNegotiatesTheSubprotocol(t *testing.T) {
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
		h := Messages(
			func(_ *Conn, _ Opcode, msg []byte) { got = append(got, string(msg)) },
			func(_ *Conn, err error) { closed <- err },
		)
		c, err := Dial(t.Context(), url, &Config{Handler: h, Limits: Limits{CloseTimeout: time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		var end *CloseError
		if err := <-closed; !errors.As(err, &end) || end.Code != CloseGoingAway {
			t.Error(err)
		}
		if len(got) != 1 || got[0] != "early" {
			t.Errorf("%q", got)
		}
		c.Close()
	}
}

func TestARefusalHasTheResponse(t *testing.T) {
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

func TestErrorsShowTheHostAndTheResponse(t *testing.T) {
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "token expired", http.StatusBadRequest)
	}))
	addr := strings.TrimPrefix(url, "ws://")
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "who are you?", http.StatusProxyAuthRequired)
	}))
	defer proxy.Close()
	for want, dial := range map[string]func() error{
		"websock: handshake with " + addr + `: the server declines (HTTP status 400): "token expired"`: func() error {
			_, err := Dial(t.Context(), url, nil)
			return err
		},
		"websock: handshake with feed.example:443: proxy " + proxy.Listener.Addr().String() + `: the proxy declines (HTTP status 407): "who are you?"`: func() error {
			_, err := Dial(t.Context(), "wss://feed.example", &Config{Proxy: proxyAt(proxy.URL)})
			return err
		},
		"websock: handshake with " + addr + ": the response is too large: limit HandshakeSize of 10 exceeded": func() error {
			_, err := Dial(t.Context(), url, &Config{Limits: Limits{HandshakeSize: 10}})
			return err
		},
	} {
		err := dial()
		var failed *HandshakeError
		if !errors.As(err, &failed) || err.Error() != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
	_, err := Dial(t.Context(), "ws://127.0.0.1:1", nil)
	if text := err.Error(); strings.Count(text, "websock:") != 1 || !strings.HasPrefix(text, "websock: handshake with 127.0.0.1:1: can't connect: ") {
		t.Error(text)
	}
}

func TestDialFailsIfNobodyListens(t *testing.T) {
	_, err := Dial(t.Context(), "ws://"+loopback.Addresses(t, 1)[0], nil)
	var refused *net.OpError
	if !errors.As(err, new(*HandshakeError)) || !errors.As(err, &refused) {
		t.Errorf("%v", err)
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

// TestACanceledDialLeavesNothingOpen cancels Dial at random moments, for each kind of connection.
func TestACanceledDialLeavesNothingOpen(t *testing.T) {
	plain := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	target, roots := tlsServer(t, echo(t, nil), nil)
	secure := strings.TrimPrefix(target, "wss://")
	var requests []string
	leadingTo := func(backend string) string {
		return rawServer(t, func(conn net.Conn) {
			target, err := net.Dial("tcp", backend)
			if err != nil { // the test has ended, and the backend is being closed
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
			}
			splice(conn, target)
		})
	}
	redirecting := strings.TrimPrefix(server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			echo(t, nil)(w, r)
			return
		}
		http.Redirect(w, r, "/there", http.StatusFound)
	})), "ws://")
	for name, test := range map[string]struct{ url, addr, proxy string }{
		"ws":            {"ws://example.com/", plain, ""},
		"wss":           {"wss://example.com/", secure, ""},
		"redirect":      {"ws://example.com/", redirecting, ""},
		"CONNECT":       {"wss://example.com/", leadingTo(secure), "http://proxy/"},
		"SOCKS5":        {"wss://example.com/", socksProxy(t, secure, "me", "secret", &requests), "socks5://me:secret@proxy"},
		"CONNECT to ws": {"ws://example.com/", leadingTo(plain), "http://proxy/"},
	} {
		for _, bare := range []bool{false, true} {
			var open atomic.Int32
			cfg := &Config{Proxy: NoProxy, TLS: &tls.Config{RootCAs: roots}, MaxRedirects: 1}
			if test.proxy != "" {
				via, err := url.Parse(test.proxy)
				if err != nil {
					t.Fatal(err)
				}
				cfg.Proxy = ProxyURL(via)
			}
			cfg.NetDial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, test.addr)
				if err != nil {
					return nil, err
				}
				open.Add(1)
				if bare {
					conn = netpair.WithoutDeadlines(conn)
				}
				return &countedConn{Conn: conn, open: &open}, nil
			}
			most := 4 * time.Millisecond
			if strings.HasPrefix(test.url, "wss") {
				most *= 5
			}
			opened := 0
			for range 60 {
				ctx, cancel := context.WithCancel(t.Context())
				stop := time.AfterFunc(rand.N(most), cancel)
				c, err := Dial(ctx, test.url, cfg)
				switch {
				case err == nil:
					opened++
					c.Abort(nil)
				case !errors.As(err, new(*HandshakeError)), !errors.Is(err, context.Canceled):
					t.Errorf("%s: %v", name, err)
				}
				stop.Stop()
				cancel()
			}
			for began := time.Now(); open.Load() != 0; time.Sleep(time.Millisecond) {
				if time.Since(began) > time.Minute {
					t.Fatalf("%s: %d connections are open (%d of 60 were opened)", name, open.Load(), opened)
				}
			}
		}
	}
}

// A second Close of a notifyingConn panics.
func TestAConnectionOfNetDialIsClosedOnceAfterAnError(t *testing.T) {
	refusing := server(t, http.NotFoundHandler())
	accepting := server(t, echo(t, nil))
	for name, test := range map[string]struct {
		url       string
		transport transport.Factory
	}{
		"in the opening handshake": {refusing, nil},
		"by the transport":         {accepting, rejectingTransport{}},
	} {
		t.Run(name, func(t *testing.T) {
			closed := make(chan struct{})
			_, err := Dial(t.Context(), test.url, &Config{
				Proxy:     NoProxy,
				Transport: test.transport,
				NetDial: func(ctx context.Context, network, addr string) (net.Conn, error) {
					conn, err := new(net.Dialer).DialContext(ctx, network, addr)
					return notifyingConn{conn, closed}, err
				},
			})
			if err == nil {
				t.Fatal("no error")
			}
			<-closed
		})
	}
}

func TestCheckReturnsTheErrorOfDialWithoutDialing(t *testing.T) {
	proxy := func(raw string) func(*url.URL) (*url.URL, error) {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return ProxyURL(u)
	}
	const server = "wss://server.test/"
	notDialed := errors.New("not dialed")
	for _, c := range []struct {
		name string
		url  string
		cfg  Config
		want string // in the error; "": there is none
	}{
		{"a URL", server, Config{}, ""},
		{"a Unix socket", "ws+unix:///run/a.sock", Config{Proxy: proxy("ftp://proxy.test")}, ""},
		{"Host and Port", "", Config{Host: "server.test", Port: 80}, ""},
		{"an HTTP proxy", server, Config{Proxy: proxy("http://proxy.test")}, ""},
		{"DialTLS uses no proxy", server, Config{Proxy: proxy("ftp://proxy.test"), DialTLS: func(context.Context, string, string) (net.Conn, error) { return nil, notDialed }}, ""},
		{"everything", server, Config{Header: http.Header{"A": {"b"}}, Subprotocols: []string{"a"}, Compression: DefaultCompression, KeepAlive: KeepAlive{Ping: time.Second, Message: []byte("{}")}}, ""},
		{"the URL's scheme", "ftp://server.test/", Config{}, "the URL can't be used"},
		{"the URL's user", "ws://user@server.test/", Config{}, "the URL can't be used"},
		{"no Host", "", Config{}, "Host, Port and Path can't be used"},
		{"the port", "", Config{Host: "server.test", Port: 1 << 16}, "Host, Port and Path can't be used"},
		{"a name with a port", "", Config{Host: "server.test:80"}, `"server.test:80" includes a port`},
		{"an address with a port", "", Config{Host: "[::1]:80"}, `"[::1]:80" includes a port`},
		{"HostHeader", server, Config{HostHeader: "a b"}, `host "a b" can't be sent`},
		{"a header's name", server, Config{Header: http.Header{"a b": {"c"}}}, "a b"},
		{"a header of the handshake", server, Config{Header: http.Header{"Upgrade": {"c"}}}, "Upgrade"},
		{"a subprotocol", server, Config{Subprotocols: []string{"a b"}}, `"a b"`},
		{"the window", server, Config{Compression: Compression{Level: 1, SendWindowBits: 16}}, "16"},
		{"KeepAlive.Message", server, Config{KeepAlive: KeepAlive{Ping: time.Second, Message: []byte("\xff")}}, "the KeepAlive's Message can't be sent"},
		{"the proxy's scheme", server, Config{Proxy: proxy("ftp://proxy.test")}, "the proxy's URL can't be used"},
		{"no proxy", server, Config{Proxy: func(*url.URL) (*url.URL, error) { return nil, errors.New("none today") }}, "none today"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.cfg
			cfg.NetDial = func(context.Context, string, string) (net.Conn, error) { return nil, notDialed }
			checked := cfg.Check(c.url)
			var dialed error
			if c.url == "" {
				_, dialed = Open(t.Context(), cfg)
			} else {
				_, dialed = Dial(t.Context(), c.url, &cfg)
			}
			if c.want == "" {
				if checked != nil || !errors.Is(dialed, notDialed) {
					t.Errorf("Check returned %v, Dial %v", checked, dialed)
				}
				return
			}
			if !strings.Contains(fmt.Sprint(checked), c.want) || fmt.Sprint(checked) != fmt.Sprint(dialed) {
				t.Errorf("Check returned %v, Dial %v; want %q in both", checked, dialed, c.want)
			}
			if failed := new(*HandshakeError); !errors.As(checked, failed) {
				t.Errorf("a %T", checked)
			}
		})
	}
}

func TestNothingStaysReservedAfterAFunctionOfAConfigEndsItsGoroutine(t *testing.T) {
	for _, m := range []*Mux{nil, {Cleartext: true}} {
		reserver := &countingReserver{}
		cfg := &Config{Transport: reserver, Mux: m, Proxy: NoProxy}
		cfg.NetDial = func(context.Context, string, string) (net.Conn, error) {
			runtime.Goexit()
			return nil, nil
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			Dial(t.Context(), "ws://127.0.0.1:1/", cfg)
		}()
		<-ended
		waitUntil(func() bool { return reserver.reserved.Load() == 0 })
	}
}

// A URL may have a secret in its query, so it isn't kept for the life of the process.
func TestAURLThatWasDialedIsForgotten(t *testing.T) {
	kept := func() weak.Pointer[byte] {
		rawURL := strings.Clone("ws://example.com/feed?token=secret")
		for range 2 {
			if to, err := parseURL(rawURL); err != nil || to.Target != "/feed?token=secret" {
				t.Fatal(to, err)
			}
		}
		return weak.Make(unsafe.StringData(rawURL))
	}()
	waitUntil(func() bool {
		runtime.GC()
		return kept.Value() == nil
	})
}
