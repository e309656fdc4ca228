package websock

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	wstls "github.com/seed004e8d11/websock/transport/tls"
)

func TestTimeoutsApplyToConnsWithoutDeadlines(t *testing.T) {
	const timeout = 50 * time.Millisecond
	for name, test := range map[string]struct {
		url, proxy, answer string
	}{
		"ws":                       {"ws://h/", "", ""},
		"ws, in the answer":        {"ws://h/", "", "HTTP/1.1 101 Switch"},
		"wss":                      {"wss://h/", "", ""},
		"wss, in a record":         {"wss://h/", "", "\x16\x03\x03\x01\x00"},
		"CONNECT":                  {"ws://h/", "http://p/", ""},
		"CONNECT, after a 100":     {"ws://h/", "http://p/", "HTTP/1.1 100 Continue\r\n\r\n"},
		"CONNECT over TLS":         {"ws://h/", "https://p/", ""},
		"SOCKS5":                   {"ws://h/", "socks5://p/", ""},
		"SOCKS5, after the method": {"ws://h/", "socks5://p/", "\x05\x00"},
		"wss through a proxy":      {"wss://h/", "http://p/", "HTTP/1.1 200 OK\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := rawServer(t, sends(test.answer))
			cfg := &Config{Proxy: NoProxy, NetDial: dialWithoutDeadlines(addr), Timeout: timeout}
			if test.proxy != "" {
				cfg.Proxy = proxyAt(test.proxy)
			}
			mustReturn(t, "Dial with a Timeout", func() {
				_, err := Dial(t.Context(), test.url, cfg)
				if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			})
			cfg.Timeout = -1
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(timeout, cancel)
			mustReturn(t, "Dial with a context that ends", func() {
				_, err := Dial(ctx, test.url, cfg)
				if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			})
		})
	}
}

func TestDialWaitsBrieflyForTheBodyOfARefusalWithoutDeadlines(t *testing.T) {
	const answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 1000\r\n\r\ngo away"
	addr := rawServer(t, sends(answer))
	for name, proxy := range map[string]func(*url.URL) (*url.URL, error){"server": NoProxy, "proxy": proxyAt("http://p/")} {
		mustReturn(t, name, func() {
			_, err := Dial(t.Context(), "ws://h/", &Config{Proxy: proxy, NetDial: dialWithoutDeadlines(addr), Timeout: -1})
			var failed *HandshakeError
			if !errors.As(err, &failed) || failed.Status != http.StatusForbidden || string(failed.Body) != "go away" {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestTimeoutsApplyToConnsWhoseCloseDoesNotEndARead(t *testing.T) {
	until := make(chan struct{})
	defer close(until)
	for _, test := range []struct{ url, proxy string }{
		{"ws://h/", ""}, {"wss://h/", ""}, {"ws://h/", "http://p"}, {"ws://h/", "https://p"}, {"ws://h/", "socks5://p"},
	} {
		cfg := &Config{Proxy: NoProxy, Timeout: 20 * time.Millisecond}
		cfg.NetDial = func(context.Context, string, string) (net.Conn, error) { return unclosable{until: until}, nil }
		if test.proxy != "" {
			cfg.Proxy = proxyAt(test.proxy)
		}
		mustReturn(t, test.url+" "+test.proxy, func() {
			if _, err := Dial(t.Context(), test.url, cfg); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v: %v", test, err)
			}
		})
	}
}

func TestRecvTimeoutLosesNothingWithoutDeadlines(t *testing.T) {
	eachWithoutDeadlines(t, echo(t, nil), Config{}, func(t *testing.T, c *Conn) {
		mustReturn(t, "RecvTimeout", func() {
			for range 3 {
				if _, _, err := c.RecvTimeout(make([]byte, 10), time.Millisecond); !errors.Is(err, ErrTimeout) {
					t.Fatal(err)
				}
				if err := c.SendText([]byte("Hello")); err != nil {
					t.Fatal(err)
				}
				if _, msg, err := c.RecvMessage(nil); string(msg) != "Hello" || err != nil {
					t.Fatalf("%q, %v", msg, err)
				}
			}
			giveMinuteToClose(c)
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

func TestAHandlerWorksWithoutDeadlines(t *testing.T) {
	var closed atomic.Value
	ended, got := make(chan struct{}, 2), make(chan string, 2)
	h := Messages(
		func(_ *Conn, _ Opcode, msg []byte) { got <- string(msg) },
		func(_ *Conn, err error) { closed.Store(err); ended <- struct{}{} },
	)
	eachWithoutDeadlines(t, echo(t, nil), Config{Handler: h}, func(t *testing.T, c *Conn) {
		mustReturn(t, "the Handler", func() {
			c.SendText([]byte("Hello"))
			if msg := <-got; msg != "Hello" {
				t.Errorf("%q", msg)
			}
			c.SetRecvDeadline(time.Now().Add(time.Millisecond))
			<-ended
			if err := closed.Load().(error); !errors.Is(err, ErrTimeout) {
				t.Error(err)
			}
		})
	})
}

func TestCloseEndsABlockedSendWithoutDeadlines(t *testing.T) {
	handler, release := neverReads(t)
	defer release()
	cfg := Config{Limits: Limits{CloseTimeout: 50 * time.Millisecond}}
	eachWithoutDeadlines(t, handler, cfg, func(t *testing.T, c *Conn) {
		sent := make(chan error, 1)
		go func() { sent <- c.SendBinary(make([]byte, 64<<20)) }()
		time.Sleep(50 * time.Millisecond)
		mustReturn(t, "Close", func() {
			c.Close()
			if err := <-sent; err == nil {
				t.Error("64 MiB were sent to a peer that reads nothing")
			}
		})
	})
}

func TestSendDeadlinesApplyToConnsWithoutDeadlines(t *testing.T) {
	handler, release := neverReads(t)
	defer release()
	eachWithoutDeadlines(t, handler, Config{}, func(t *testing.T, c *Conn) {
		c.SetSendDeadline(time.Now().Add(50 * time.Millisecond))
		mustReturn(t, "a send", func() {
			if err := c.SendBinary(make([]byte, 64<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
	})
}

func TestDialReturnsThoughNetDialIgnoresItsContext(t *testing.T) {
	addr := rawServer(t, sends(""))
	for name, proxy := range map[string]func(*url.URL) (*url.URL, error){"direct": NoProxy, "proxy": proxyAt("http://p/")} {
		goOn, closed := make(chan struct{}), make(chan struct{})
		cfg := Config{Proxy: proxy, Timeout: 20 * time.Millisecond}
		cfg.NetDial = func(_ context.Context, network, _ string) (net.Conn, error) {
			<-goOn
			conn, err := net.Dial(network, addr)
			return notifyingConn{conn, closed}, err
		}
		mustReturn(t, name, func() {
			_, err := Dial(t.Context(), "ws://h/", &cfg)
			if !errors.As(err, new(*HandshakeError)) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v", name, err)
			}
		})
		close(goOn)
		mustReturn(t, name+": closing what is returned too late", func() { <-closed })
	}
}

func TestDialFailsIfNetDialReturnsNothing(t *testing.T) {
	for name, dial := range map[string]func(context.Context, string, string) (net.Conn, error){
		"nil":    func(context.Context, string, string) (net.Conn, error) { return nil, nil },
		"Goexit": func(context.Context, string, string) (net.Conn, error) { runtime.Goexit(); return nil, nil },
	} {
		mustReturn(t, name, func() {
			if _, err := Dial(t.Context(), "ws://h/", &Config{Proxy: NoProxy, NetDial: dial}); !errors.As(err, new(*HandshakeError)) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

func TestTLSServersWorkWithoutDeadlines(t *testing.T) {
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS()
	defer certified.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: echo(t, nil)}
	defer s.Close()
	go s.Serve(wstls.NewListener(tunnelListener{l}, certified.TLS))
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	mustReturn(t, "a connection", func() {
		c, err := Dial(t.Context(), "wss://"+l.Addr().String(), &Config{TLS: &tls.Config{RootCAs: roots}})
		if err != nil {
			t.Error(err)
			return
		}
		roundTrip(t, c)
	})
}
