package websock

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// recorded is a Trace that writes down what it is told.
func recorded(steps *[]string) *Trace {
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

func TestATraceIsToldOfEveryStep(t *testing.T) {
	backend, roots := tlsServer(t, echo(t, nil), nil)
	backend = strings.TrimPrefix(backend, "wss://")
	var asked []string
	p := httptest.NewUnstartedServer(connectProxy(t, backend, nil, &asked))
	p.StartTLS()
	defer p.Close()
	roots.AddCert(p.Certificate())
	_, proxyPort, _ := net.SplitHostPort(p.Listener.Addr().String())
	socksAddr := socksProxy(t, backend, "me", "secret", &asked)
	plain := server(t, echo(t, nil))
	refusing := server(t, http.NotFoundHandler())

	for name, test := range map[string]struct {
		url, proxy string
		want       string
	}{
		"plain": {plain, "",
			"dial tcp " + plain[5:] + "; dialled true true; ask " + plain[5:] + "; first byte; opened true"},
		"refused": {refusing, "",
			"dial tcp " + refusing[5:] + "; dialled true true; ask " + refusing[5:] + "; first byte; opened false"},
		"nobody there": {"ws://127.0.0.1:1", "", "dial tcp 127.0.0.1:1; dialled false false"},
		"by a secure proxy": {"wss://example.com", "https://example.com:" + proxyPort,
			"dial tcp example.com:" + proxyPort + "; dialled true true; TLS example.com; secured true true; " +
				"proxy https example.com:443; proxied true; " +
				"TLS example.com; secured true true; ask example.com; first byte; opened true"},
		"by SOCKS": {"wss://example.com", "socks5://me:secret@" + socksAddr,
			"dial tcp " + socksAddr + "; dialled true true; proxy socks5 example.com:443; proxied true; " +
				"TLS example.com; secured true true; ask example.com; first byte; opened true"},
		"refused by SOCKS": {"wss://example.com", "socks5://me:wrong@" + socksAddr,
			"dial tcp " + socksAddr + "; dialled true true; proxy socks5 example.com:443; proxied false"},
		"no TLS there": {"wss://" + plain[5:], "",
			"dial tcp " + plain[5:] + "; dialled true true; TLS 127.0.0.1; secured false false"},
	} {
		t.Run(name, func(t *testing.T) {
			var steps []string
			cfg := &Config{Proxy: NoProxy, TLS: &tls.Config{RootCAs: roots}, NetDial: dialAnyhow, Trace: recorded(&steps)}
			if test.proxy != "" {
				cfg.Proxy = by(test.proxy)
			}
			c, err := Dial(t.Context(), test.url, cfg)
			if err == nil {
				roundTrip(t, c)
			}
			if got := strings.Join(steps, "; "); got != test.want {
				t.Errorf("\n%s, want\n%s; %v", got, test.want, err)
			}
		})
	}
}

func TestATraceIsGivenTheOpeningHandshake(t *testing.T) {
	secure, roots := tlsServer(t, echo(t, nil), nil)
	for _, url := range []string{server(t, echo(t, nil)), secure} {
		var sent, received strings.Builder
		trace := &Trace{
			Sent:     func(p []byte) { sent.Write(p) },
			Received: func(p []byte) { received.Write(p) },
		}
		c, err := Dial(t.Context(), url, &Config{Proxy: NoProxy, TLS: &tls.Config{RootCAs: roots}, Trace: trace})
		if err != nil {
			t.Fatal(err)
		}
		roundTrip(t, c) // of which they aren't told
		if got := sent.String(); !strings.HasPrefix(got, "GET / HTTP/1.1\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("%s: sent %q", url, got)
		}
		if got := received.String(); !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("%s: received %q", url, got)
		}
	}
}

func TestATraceWithoutFunctionsIsToldNothing(t *testing.T) {
	c, err := Dial(t.Context(), server(t, echo(t, nil)), &Config{Trace: &Trace{}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestHeadersForTheProxy(t *testing.T) {
	backend := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	var asked []string
	var got http.Header
	leads := connectProxy(t, backend, nil, &asked)
	p := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		leads.ServeHTTP(w, r)
	}))
	defer p.Close()
	cfg := &Config{
		Proxy: by(p.URL),
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
