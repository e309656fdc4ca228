package websock

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTraceIsCalledAtEveryStep(t *testing.T) {
	backend, roots := tlsServer(t, echo(t, nil), nil)
	backend = strings.TrimPrefix(backend, "wss://")
	var requests []string
	p := httptest.NewUnstartedServer(connectProxy(t, backend, nil, &requests))
	p.StartTLS()
	defer p.Close()
	roots.AddCert(p.Certificate())
	_, proxyPort, _ := net.SplitHostPort(p.Listener.Addr().String())
	socksAddr := socksProxy(t, backend, "me", "secret", &requests)
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
			cfg := &Config{Proxy: NoProxy, TLS: &tls.Config{RootCAs: roots}, NetDial: dialLoopback, Trace: recordTrace(&steps)}
			if test.proxy != "" {
				cfg.Proxy = proxyAt(test.proxy)
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

func TestTraceGetsTheBytesOfTheHandshake(t *testing.T) {
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
		roundTrip(t, c) // which is not reported
		if got := sent.String(); !strings.HasPrefix(got, "GET / HTTP/1.1\r\n") || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("%s: sent %q", url, got)
		}
		if got := received.String(); !strings.HasPrefix(got, "HTTP/1.1 101 ") || !strings.HasSuffix(got, "\r\n\r\n") {
			t.Errorf("%s: received %q", url, got)
		}
	}
}

func TestATraceMayHaveNoFunctions(t *testing.T) {
	c, err := Dial(t.Context(), server(t, echo(t, nil)), &Config{Trace: &Trace{}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}
