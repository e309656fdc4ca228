package websock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// splice carries bytes both ways until both sides have ended.
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

// connectProxy is an HTTP proxy that leads every CONNECT to backend, if the credentials
// are user's.
func connectProxy(t *testing.T, backend string, user *url.Userinfo, asked *[]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.RequestURI)
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

// socksProxy is a SOCKS5 proxy with one user that leads every connection to backend
// (RFC 1928, RFC 1929).
func socksProxy(t *testing.T, backend, user, password string, asked *[]string) string {
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
			serveSOCKS(conn, backend, user, password, asked)
		}
	}()
	return l.Addr().String()
}

func serveSOCKS(conn net.Conn, backend, user, password string, asked *[]string) {
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
	*asked = append(*asked, host)
	target, err := net.Dial("tcp", backend)
	if err != nil {
		return
	}
	conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	splice(conn, target)
}

func by(rawURL string) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) { return url.Parse(rawURL) }
}

func TestDialThroughAnHTTPProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var asked []string
	user := url.UserPassword("me", "s:cret")
	p := httptest.NewServer(connectProxy(t, backend, user, &asked))
	defer p.Close()
	withUser := strings.Replace(p.URL, "://", "://me:s%3Acret@", 1)
	c, err := Dial(t.Context(), "ws://feed.example/chat", &Config{Proxy: by(withUser)})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if strings.Join(asked, ",") != "CONNECT feed.example:80" {
		t.Errorf("the proxy was asked %q", asked)
	}
	_, err = Dial(t.Context(), "ws://feed.example/", &Config{Proxy: by(p.URL)})
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != 407 || string(failed.Body) != "who are you?\n" {
		t.Errorf("without credentials: %v", err)
	}
}

func TestDialWithTLSThroughAProxyWithTLS(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), nil)
	var asked []string
	p := httptest.NewUnstartedServer(connectProxy(t, strings.TrimPrefix(target, "wss://"), nil, &asked))
	p.StartTLS()
	defer p.Close()
	roots.AddCert(p.Certificate())
	proxyURL := strings.Replace(p.URL, "127.0.0.1", "example.com", 1) // a name in its certificate
	cfg := &Config{Proxy: by(proxyURL), TLS: &tls.Config{RootCAs: roots}, NetDial: dialAnyhow}
	c, err := Dial(t.Context(), "wss://example.com:8443/", cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if strings.Join(asked, ",") != "CONNECT example.com:8443" {
		t.Errorf("the proxy was asked %q", asked)
	}
	cfg.TLS = &tls.Config{RootCAs: x509.NewCertPool()}
	if _, err := Dial(t.Context(), "wss://example.com:8443/", cfg); !errors.As(err, new(*tls.CertificateVerificationError)) {
		t.Errorf("a proxy that isn't trusted: %v", err)
	}
}

func TestDialThroughASOCKSProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var asked []string
	addr := socksProxy(t, backend, "me", "secret", &asked)
	c, err := Dial(t.Context(), "ws://feed.example/", &Config{Proxy: by("socks5h://me:secret@" + addr)})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	if strings.Join(asked, ",") != "feed.example" {
		t.Errorf("the proxy was asked for %q", asked)
	}
	_, err = Dial(t.Context(), "ws://feed.example/", &Config{Proxy: by("socks5://me:wrong@" + addr)})
	if !errors.As(err, new(*HandshakeError)) {
		t.Errorf("wrong password: %v", err)
	}
}

func TestTheEnvironmentNamesTheProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var asked []string
	p := httptest.NewServer(connectProxy(t, backend, nil, &asked))
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
	if len(asked) != 1 {
		t.Errorf("the proxy was asked %q", asked)
	}
}

func TestProxiesThatCannotBeUsed(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	nowhere := closed.Addr().String()
	for name, proxy := range map[string]func(*url.URL) (*url.URL, error){
		"unknown scheme": by("ftp://127.0.0.1"),
		"no choice":      func(*url.URL) (*url.URL, error) { return nil, io.ErrUnexpectedEOF },
		"nobody there":   by("http://" + nowhere),
		"no SOCKS there": by("socks5://" + nowhere),
		"no TLS there":   by("https" + strings.TrimPrefix(server(t, echo(t, nil)), "ws")),
	} {
		if _, err := Dial(t.Context(), "ws://feed.example/", &Config{Proxy: proxy}); !errors.As(err, new(*HandshakeError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnixSocketsNeedNoProxy(t *testing.T) {
	_, err := Dial(t.Context(), "ws+unix:///no/such/socket", &Config{Proxy: func(*url.URL) (*url.URL, error) {
		t.Error("a proxy was looked for")
		return nil, nil
	}})
	if !errors.As(err, new(*HandshakeError)) {
		t.Error(err)
	}
}

// dialTo connects to addr, whatever it is asked for.
func dialTo(addr string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

// dialAnyhow connects to loopback, whatever host it is asked for.
func dialAnyhow(ctx context.Context, network, addr string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
}
