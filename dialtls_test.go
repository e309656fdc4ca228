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
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
)

func TestDialTLSTakesThePlaceOfTLS(t *testing.T) {
	handler := http.NewServeMux()
	handler.Handle("/", echo(t, nil))
	target, roots := tlsServer(t, handler, nil)
	handler.Handle("/away", http.RedirectHandler("/here", http.StatusFound))
	addr := strings.TrimPrefix(target, "wss://")
	config := &tls.Config{RootCAs: roots, ServerName: "example.com"}
	connect := map[string]func(ctx context.Context, network, addr string) (net.Conn, error){
		"a handshake done": func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
		},
		"a handshake to be done": func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			return tls.Client(conn, config), err
		},
		"no deadlines": func(ctx context.Context, network, _ string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			return tls.Client(netpair.WithoutDeadlines(conn), config), err
		},
	}
	for name, dial := range connect {
		asked := ""
		cfg := &Config{
			MaxRedirects: 1,
			Proxy:        func(*url.URL) (*url.URL, error) { return nil, errors.New("a proxy was looked for") },
			NetDial: func(context.Context, string, string) (net.Conn, error) {
				return nil, errors.New("NetDial was called")
			},
			DialTLS: func(ctx context.Context, network, addr string) (net.Conn, error) {
				asked += network + " " + addr + ";"
				return dial(ctx, network, addr)
			},
		}
		c, err := Dial(t.Context(), "wss://feed.example/away", cfg)
		if err != nil {
			t.Error(name, err)
			continue
		}
		if state := c.TLS(); state == nil || !state.HandshakeComplete || state.ServerName != "example.com" {
			t.Errorf("%s: TLS %+v", name, state)
		}
		roundTrip(t, c)
		if asked != "tcp feed.example:443;tcp feed.example:443;" {
			t.Errorf("%s: asked for %s", name, asked)
		}
	}
}

// opaque is a connection secured by a library of which nothing is known.
type opaque struct{ net.Conn }

func TestDialTLSMayUseAnyLibrary(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), nil)
	c, err := Dial(t.Context(), target, &Config{DialTLS: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := tls.Dial(network, addr, &tls.Config{RootCAs: roots})
		return opaque{conn}, err
	}})
	if err != nil {
		t.Fatal(err)
	}
	if c.TLS() != nil {
		t.Error("TLS is known")
	}
	roundTrip(t, c)
}

func TestDialTLSFailures(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), &tls.Config{NextProtos: []string{"h2", "http/1.1"}})
	plain := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	silent := peer(t, says(""))
	for name, test := range map[string]struct {
		dial func(context.Context, string, string) (net.Conn, error)
		is   error
		says string
	}{
		"an error":            {func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrNoProgress }, io.ErrNoProgress, ""},
		"ignores its context": {func(context.Context, string, string) (net.Conn, error) { <-t.Context().Done(); return nil, io.EOF }, context.DeadlineExceeded, ""},
		"no TLS there": {func(context.Context, string, string) (net.Conn, error) {
			conn, err := net.Dial("tcp", plain)
			return tls.Client(conn, &tls.Config{ServerName: "h"}), err
		}, nil, "can't connect"},
		"a silent server": {func(context.Context, string, string) (net.Conn, error) {
			conn, err := net.Dial("tcp", silent)
			return tls.Client(conn, &tls.Config{ServerName: "h"}), err
		}, context.DeadlineExceeded, "can't connect"},
		"a silent connection that Close doesn't end": {func(context.Context, string, string) (net.Conn, error) {
			return tls.Client(unclosable{until: t.Context().Done()}, &tls.Config{ServerName: "h"}), nil
		}, context.DeadlineExceeded, "can't connect"},
		"another protocol": {func(_ context.Context, network, _ string) (net.Conn, error) {
			return tls.Dial(network, strings.TrimPrefix(target, "wss://"), &tls.Config{RootCAs: roots, NextProtos: []string{"h2"}})
		}, nil, `"h2"`},
	} {
		within(t, name, func() {
			_, err := Dial(t.Context(), "wss://h/", &Config{Timeout: 200 * time.Millisecond, DialTLS: test.dial})
			if !errors.As(err, new(*HandshakeError)) || !strings.Contains(err.Error(), test.says) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestBothSidesKnowTheirTLS(t *testing.T) {
	states := make(chan *tls.ConnectionState, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		states <- c.TLS()
		c.RecvMessage(nil)
	})
	secure, roots := tlsServer(t, handler, nil)
	cfg := &Config{TLS: &tls.Config{RootCAs: roots}}
	for range 2 {
		c, err := Dial(t.Context(), secure, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if state := c.TLS(); state == nil || state.Version < tls.VersionTLS12 || len(state.PeerCertificates) == 0 {
			t.Errorf("client: %+v", state)
		}
		if state := <-states; state == nil || !state.HandshakeComplete {
			t.Errorf("server: %+v", state)
		}
		c.Close()
		if c.TLS() == nil {
			t.Error("after Close it is forgotten")
		}
	}
	c, err := Dial(t.Context(), server(t, handler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if state := <-states; state != nil || c.TLS() != nil {
		t.Error("there is TLS without TLS")
	}
}

func TestTLSSessionsAreResumedByDefault(t *testing.T) {
	target, roots := tlsServer(t, echo(t, nil), nil)
	cfg := &Config{TLS: &tls.Config{RootCAs: roots}}
	for i, want := range []bool{false, true} {
		c, err := Dial(t.Context(), target, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.TLS().DidResume; got != want {
			t.Errorf("connection %d: resumed %v", i, got)
		}
		roundTrip(t, c)
	}
}

func TestAnHTTPSProxyMayWantACertificate(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var asked []string
	p := httptest.NewUnstartedServer(connectProxy(t, backend, nil, &asked))
	p.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.StartTLS()
	defer p.Close()
	roots := x509.NewCertPool()
	roots.AddCert(p.Certificate())
	proxyTLS := &tls.Config{RootCAs: roots, Certificates: p.TLS.Certificates}
	cfg := &Config{Proxy: by(p.URL), ProxyTLS: proxyTLS}
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

func TestAllProxyStandsForEither(t *testing.T) {
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
			var asked []string
			t.Setenv(test.name, "socks5://me:secret@"+socksProxy(t, backend, "me", "secret", &asked))
			c, err := Dial(t.Context(), test.scheme+"://example.com", &Config{TLS: &tls.Config{RootCAs: roots}})
			if err != nil {
				t.Fatal(err)
			}
			roundTrip(t, c)
			if strings.Join(asked, ",") != "example.com" {
				t.Errorf("the proxy was asked for %q", asked)
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
