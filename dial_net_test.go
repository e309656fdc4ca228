package websock

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/transport/std"
)

// Nobody is at the first address that the name has, and the second one is tried.
func TestNamesAreLookedUpByTheDialersResolver(t *testing.T) {
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(server(t, echo(t, nil)), "ws://"))
	nowhere := [16]byte{1} // 100::, of the prefix that discards (RFC 6666)
	dns := nameServer(t, "feed.test", [4]byte{127, 0, 0, 1}, nowhere)
	cfg := &Config{
		Proxy: NoProxy,
		Dialer: &net.Dialer{Resolver: &net.Resolver{
			PreferGo: true,
			Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "udp", dns)
			},
		}},
	}
	c, err := Dial(t.Context(), "ws://feed.test:"+port, cfg)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
	var failed *net.DNSError
	if _, err := Dial(t.Context(), "ws://other.test:"+port, cfg); !errors.As(err, &failed) || !failed.IsNotFound {
		t.Error(err)
	}
}

func TestATransportDialsUnlessSomethingOfPackageNetIsAskedFor(t *testing.T) {
	plain := server(t, echo(t, nil))
	secure, roots := tlsServer(t, echo(t, nil), nil)
	proxy := httptest.NewServer(http.NotFoundHandler())
	defer proxy.Close()
	proxyURL, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	traced := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{})
	for name, test := range map[string]struct {
		ctx   context.Context
		url   string
		cfg   Config
		debug string // GODEBUG
		want  int
	}{
		"ws":              {url: plain, want: 1},
		"wss":             {url: secure, want: 1},
		"other functions": {url: plain, cfg: Config{Trace: &Trace{DialStart: func(string, string) {}}}, want: 1},
		"a name":          {url: strings.Replace(plain, "127.0.0.1", "localhost", 1)},
		"any address":     {url: strings.Replace(plain, "127.0.0.1", "0.0.0.0", 1)},
		"any, mapped":     {url: strings.Replace(plain, "127.0.0.1", "[::ffff:0.0.0.0]", 1)},
		"Multipath TCP":   {url: plain, debug: "multipathtcp=1"},
		"a Unix socket":   {url: "ws+unix:///nowhere.sock:/"},
		"Dialer":          {url: plain, cfg: Config{Dialer: &d}},
		"NetDial":         {url: plain, cfg: Config{NetDial: d.DialContext}},
		"DialTLS":         {url: secure, cfg: Config{DialTLS: (&tls.Dialer{Config: &tls.Config{RootCAs: roots}}).DialContext}},
		"a proxy":         {url: plain, cfg: Config{Proxy: func(*url.URL) (*url.URL, error) { return proxyURL, nil }}},
		"DialDone":        {url: plain, cfg: Config{Trace: &Trace{DialDone: func(string, string, net.Conn, error) {}}}},
		"a ClientTrace":   {ctx: traced, url: plain},
	} {
		t.Run(name, func(t *testing.T) {
			if test.debug != "" {
				t.Setenv("GODEBUG", test.debug)
			}
			transport := &dialingTransport{Factory: std.Transport()}
			cfg := test.cfg
			cfg.Transport, cfg.TLS = transport, &tls.Config{RootCAs: roots}
			if cfg.Proxy == nil {
				cfg.Proxy = NoProxy
			}
			ctx := test.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			c, err := Dial(ctx, test.url, &cfg)
			if err == nil {
				roundTrip(t, c)
			} else if test.want > 0 {
				t.Error(err)
			}
			if got := transport.dialled; got != test.want {
				t.Errorf("it dialled %d connections, want %d", got, test.want)
			}
		})
	}
}

// A connection that the Transport has dialled isn't closed when it is garbage.
func TestNoConnectionStaysOpenAfterAFunctionOfAConfigEndsItsGoroutine(t *testing.T) {
	plain := server(t, echo(t, nil))
	secure, roots := tlsServer(t, echo(t, nil), nil)
	goexit := func(tls.ConnectionState) error { runtime.Goexit(); return nil }
	for name, test := range map[string]struct {
		url string
		cfg Config
	}{
		"in the TLS handshake":     {secure, Config{TLS: &tls.Config{RootCAs: roots, VerifyConnection: goexit}}},
		"in the opening handshake": {plain, Config{Trace: &Trace{HandshakeStart: func(string) { runtime.Goexit() }}}},
	} {
		t.Run(name, func(t *testing.T) {
			dialer := &dialingTransport{Factory: std.Transport()}
			cfg := test.cfg
			cfg.Transport, cfg.Proxy = dialer, NoProxy
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				Dial(t.Context(), test.url, &cfg)
			}()
			<-ended
			if err := dialer.last.Close(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the connection was open: %v", err)
			}
		})
	}
}
