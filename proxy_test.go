package websock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestDialThroughAnHTTPProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var requests []string
	user := url.UserPassword("me", "s:cret")
	p := httptest.NewServer(connectProxy(t, backend, user, &requests))
	defer p.Close()
	withUser := strings.Replace(p.URL, "://", "://me:s%3Acret@", 1)
	c, err := Dial(t.Context(), "ws://feed.example/chat", &Config{Proxy: proxyAt(withUser)})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if strings.Join(requests, ",") != "CONNECT feed.example:80" {
		t.Errorf("the proxy got %q", requests)
	}
	_, err = Dial(t.Context(), "ws://feed.example/", &Config{Proxy: proxyAt(p.URL)})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 407 || string(failed.Body) != "who are you?\n" {
		t.Errorf("without credentials: %v", err)
	}
}

func TestDialWithTLSThroughAProxyWithTLS(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), nil)
	var requests []string
	p := httptest.NewUnstartedServer(connectProxy(t, strings.TrimPrefix(target, "wss://"), nil, &requests))
	p.StartTLS()
	defer p.Close()
	roots.AddCert(p.Certificate())
	proxyURL := strings.Replace(p.URL, "127.0.0.1", "example.com", 1) // a name in its certificate
	cfg := &Config{Proxy: proxyAt(proxyURL), TLS: &tls.Config{RootCAs: roots}, NetDial: dialLoopback}
	c, err := Dial(t.Context(), "wss://example.com:8443/", cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if strings.Join(requests, ",") != "CONNECT example.com:8443" {
		t.Errorf("the proxy got %q", requests)
	}
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	if _, err := Dial(t.Context(), "wss://example.com:8443/", cfg); !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("a proxy that isn't trusted: %v", err)
	}
}

func TestDialThroughASOCKSProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var requests []string
	addr := socksProxy(t, backend, "me", "secret", &requests)
	c, err := Dial(t.Context(), "ws://feed.example/", &Config{Proxy: proxyAt("socks5h://me:secret@" + addr)})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if strings.Join(requests, ",") != "feed.example" {
		t.Errorf("the proxy got %q", requests)
	}
	_, err = Dial(t.Context(), "ws://feed.example/", &Config{Proxy: proxyAt("socks5://me:wrong@" + addr)})
	if !errors.As(err, new(*HandshakeError)) {
		t.Errorf("wrong password: %v", err)
	}
}

func TestTheEnvironmentNamesTheProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var requests []string
	p := httptest.NewServer(connectProxy(t, backend, nil, &requests))
	defer p.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"} {
		t.Setenv(name, "")
	}
	t.Setenv("HTTP_PROXY", p.URL)
	t.Setenv("NO_PROXY", "direct.example")
	c, err := Dial(t.Context(), "ws://feed.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	for host, proxy := range map[string]func(*url.URL) (*url.URL, error){"direct.example": nil, "feed.example": NoProxy} {
		c, err := Open(t.Context(), Config{Host: host, Proxy: proxy, NetDial: dialTo(backend)})
		if err != nil {
			t.Fatal(host, err)
		}
		roundTrip(t, c)
	}
	if len(requests) != 1 {
		t.Errorf("the proxy got %q", requests)
	}
}

func TestAllProxyReplacesVariablesThatAreNotSet(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), nil)
	plain := server(t, echo(t, nil))
	for _, test := range []struct{ name, scheme string }{{"ALL_PROXY", "ws"}, {"all_proxy", "wss"}} {
		t.Run(test.name, func(t *testing.T) {
			for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "no_proxy"} {
				t.Setenv(name, "")
			}
			t.Setenv("NO_PROXY", "direct.example")
			t.Setenv("REQUEST_METHOD", "GET")
			backend := plain[5:]
			if test.scheme == "wss" {
				backend = target[6:]
			}
			var requests []string
			t.Setenv(test.name, "socks5://me:secret@"+socksProxy(t, backend, "me", "secret", &requests))
			c, err := Dial(t.Context(), test.scheme+"://example.com", &Config{TLS: &tls.Config{RootCAs: roots}})
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, c)
			if strings.Join(requests, ",") != "example.com" {
				t.Errorf("the proxy got %q", requests)
			}
			if via, err := environmentProxy(&url.URL{Scheme: test.scheme, Host: "direct.example"}); via != nil || err != nil {
				t.Errorf("NO_PROXY: %v, %v", via, err)
			}
		})
	}
	t.Setenv("HTTPS_PROXY", "http://other.example")
	t.Setenv("ALL_PROXY", "http://all.example")
	if via, err := environmentProxy(&url.URL{Scheme: "wss", Host: "h"}); err != nil || via.Host != "other.example" {
		t.Errorf("HTTPS_PROXY: %v, %v", via, err)
	}
}

func TestDialFailsAtUnusableProxies(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	nowhere := closed.Addr().String()
	for name, proxy := range map[string]func(*url.URL) (*url.URL, error){
		"unknown scheme": proxyAt("ftp://127.0.0.1"),
		"no choice":      func(*url.URL) (*url.URL, error) { return nil, io.ErrUnexpectedEOF },
		"nobody there":   proxyAt("http://" + nowhere),
		"no SOCKS there": proxyAt("socks5://" + nowhere),
		"no TLS there":   proxyAt("https" + strings.TrimPrefix(server(t, echo(t, nil)), "ws")),
	} {
		if _, err := Dial(t.Context(), "ws://feed.example/", &Config{Proxy: proxy}); !errors.As(err, new(*HandshakeError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnixSocketsAreDialedWithoutAProxy(t *testing.T) {
	_, err := Dial(t.Context(), "ws+unix:///no/such/socket", &Config{Proxy: func(*url.URL) (*url.URL, error) {
		t.Error("a proxy was looked for")
		return nil, nil
	}})
	if !errors.As(err, new(*HandshakeError)) {
		t.Error(err)
	}
}

func TestProxyHeaderIsSentToTheProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var requests []string
	var got http.Header
	leads := connectProxy(t, backend, nil, &requests)
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		leads.ServeHTTP(w, r)
	}))
	defer p.Close()
	cfg := &Config{
		Proxy: proxyAt(p.URL),
		ProxyHeader: func(_ context.Context, proxy *url.URL, target string) (http.Header, error) {
			return http.Header{"X-Target": {target}, "X-Proxy": {proxy.Host}}, nil
		},
	}
	c, err := Dial(t.Context(), "ws://feed.example/", cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if !slices.Equal(got["X-Target"], []string{"feed.example:80"}) || !slices.Equal(got["X-Proxy"], []string{p.Listener.Addr().String()}) {
		t.Errorf("%v", got)
	}
	no := errors.New("no")
	cfg.ProxyHeader = func(context.Context, *url.URL, string) (http.Header, error) { return nil, no }
	_, err = Dial(t.Context(), "ws://feed.example/", cfg)
	var failed *HandshakeError
	if !errors.As(err, &failed) || !errors.Is(err, no) || failed.Proxy != p.Listener.Addr().String() {
		t.Error(err)
	}
}

func TestAnHTTPSProxyMayRequireAClientCertificate(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var requests []string
	p := httptest.NewUnstartedServer(connectProxy(t, backend, nil, &requests))
	p.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.StartTLS()
	defer p.Close()
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	proxyTLS := &tls.Config{RootCAs: roots, Certificates: p.TLS.Certificates}
	cfg := &Config{Proxy: proxyAt(p.URL), ProxyTLS: proxyTLS}
	c, err := Dial(t.Context(), "ws://feed.example/", cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	cfg.ProxyTLS, cfg.TLS = nil, &tls.Config{RootCAs: roots, Certificates: p.TLS.Certificates}
	if _, err := Dial(t.Context(), "ws://feed.example/", cfg); err == nil {
		t.Error("the proxy has got the server's certificate")
	}
}
