package websock

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
)

// counted is a connection that is counted while it is open.
type counted struct {
	net.Conn
	open   *atomic.Int32
	closed atomic.Bool
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// TestACancelledDialLeavesNothingOpen cancels at any moment, over every way to a server.
func TestACancelledDialLeavesNothingOpen(t *testing.T) {
	plain := strings.TrimPrefix(server(t, echo(t, nil)), "ws://")
	target, roots := tlsServer(t, echo(t, nil), nil)
	secure := strings.TrimPrefix(target, "wss://")
	var asked []string
	leadingTo := func(backend string) string {
		return peer(t, func(conn net.Conn) {
			target, err := net.Dial("tcp", backend)
			if err != nil {
				t.Error(err)
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
		"SOCKS5":        {"wss://example.com/", socksProxy(t, secure, "me", "secret", &asked), "socks5://me:secret@proxy"},
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
				return &counted{Conn: conn, open: &open}, nil
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
				if time.Since(began) > 10*time.Second {
					t.Fatalf("%s: %d connections are open (%d of 60 were opened)", name, open.Load(), opened)
				}
			}
		}
	}
}
