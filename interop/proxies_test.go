package interop

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// A proxyServer is a proxy of another project. If it requires a user, that is "me" with the password
// "secret".
type proxyServer struct {
	name  string
	start func(t *testing.T, dir string, c *certificate) (proxyURL string)
	user  bool
}

var proxies = []proxyServer{
	{name: "squid", start: squid("http", "")},
	{name: "squid with a user", start: squid("http", squidAuth), user: true},
	{name: "squid behind TLS", start: squid("https", "")},
	{name: "squid behind TLS with a user", start: squid("https", squidAuth), user: true},
	{name: "tinyproxy", start: tinyproxy("")},
	{name: "tinyproxy with a user", start: tinyproxy("BasicAuth me secret\n"), user: true},
	{name: "microsocks", start: microsocks()},
	{name: "microsocks with a user", start: microsocks("-u", "me", "-P", "secret"), user: true},
	{name: "dante", start: dante},
}

const squidAuth = `auth_param basic program {dir}/who
acl known proxy_auth REQUIRED
http_access deny !known
`

// squid listens without TLS, or behind haproxy with TLS, which Debian's squid doesn't support.
func squid(scheme, auth string) func(*testing.T, string, *certificate) string {
	return func(t *testing.T, dir string, c *certificate) string {
		program := debian(t, "squid", "squid")
		write(t, dir, "who", "#!/bin/sh\nwhile read -r line; do if [ \"$line\" = \"me secret\" ]; then echo OK; else echo ERR; fi; done\n", 0o755)
		write(t, dir, "hosts", "127.0.0.1 feed.test\n", 0o644)
		addr := address(t, func(port string) *exec.Cmd {
			conf := write(t, dir, "squid.conf", fill(auth+`http_port 127.0.0.1:{port}
hosts_file {dir}/hosts
http_access allow all
cache deny all
pid_filename none
access_log none
cache_log {dir}/cache.log
coredump_dir {dir}
pinger_enable off
shutdown_lifetime 0 seconds
`, "{port}", port, "{dir}", dir), 0o644)
			return exec.Command(program, "-N", "-f", conf)
		})
		if scheme == "https" {
			addr = behindTLS(t, dir, c, addr)
		}
		return scheme + "://" + addr
	}
}

// behindTLS starts haproxy, which terminates TLS for a server.
func behindTLS(t *testing.T, dir string, c *certificate, addr string) string {
	program := debian(t, "haproxy", "haproxy")
	return address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "tls.cfg", fill(`defaults
  mode tcp
  timeout connect 60s
  timeout client 60s
  timeout server 60s
listen secure
  bind 127.0.0.1:{port} ssl crt {both}
  server plain {addr}
`, "{port}", port, "{both}", c.files["both"], "{addr}", addr), 0o644)
		return exec.Command(program, "-db", "-f", conf)
	})
}

func tinyproxy(auth string) func(*testing.T, string, *certificate) string {
	return func(t *testing.T, dir string, _ *certificate) string {
		program := debian(t, "tinyproxy", "tinyproxy")
		return "http://" + address(t, func(port string) *exec.Cmd {
			conf := write(t, dir, "tinyproxy.conf", fill(auth+`Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 200
`, "{port}", port), 0o644)
			return exec.Command(program, "-d", "-c", conf)
		})
	}
}

func microsocks(args ...string) func(*testing.T, string, *certificate) string {
	return func(t *testing.T, _ string, _ *certificate) string {
		program := debian(t, "microsocks", "microsocks")
		return "socks5://" + address(t, func(port string) *exec.Cmd {
			return exec.Command(program, append([]string{"-i", "127.0.0.1", "-p", port}, args...)...)
		})
	}
}

func dante(t *testing.T, dir string, _ *certificate) string {
	program := debian(t, "danted", "dante-server")
	return "socks5h://" + address(t, func(port string) *exec.Cmd {
		conf := write(t, dir, "danted.conf", fill(`logoutput: stderr
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
user.unprivileged: nobody
client pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
socks pass { from: 127.0.0.0/8 to: 0.0.0.0/0 }
`, "{port}", port), 0o644)
		return exec.Command(program, "-N", "1", "-f", conf)
	})
}

// eachProxy runs a test with each proxy. via is its URL, with the user if it requires one.
func eachProxy(t *testing.T, proxies []proxyServer, f func(t *testing.T, p proxyServer, via *url.URL, c *certificate)) {
	for _, p := range proxies {
		t.Run(p.name, func(t *testing.T) {
			dir := folder(t)
			c := newCertificate(t, dir)
			via, err := url.Parse(p.start(t, dir, c))
			if err != nil {
				t.Fatal(err)
			}
			if p.user {
				via.User = url.UserPassword("me", "secret")
			}
			f(t, p, via, c)
		})
	}
}

var transports = map[string]websock.Transport{"std": std.Transport(), "epoll": epoll.Transport()}

func byWayOf(via *url.URL, roots *x509.CertPool) *websock.Config {
	return &websock.Config{
		Proxy:   websock.ProxyURL(via),
		TLS:     &tls.Config{RootCAs: roots},
		Timeout: patience,
	}
}

func TestEchoThroughProxy(t *testing.T) {
	eachProxy(t, proxies, func(t *testing.T, p proxyServer, via *url.URL, c *certificate) {
		ws, wss := backends(t, c)
		for name, transport := range transports {
			for _, target := range []string{ws, wss} {
				t.Run(name+" "+target[:3], func(t *testing.T) {
					cfg := byWayOf(via, c.roots)
					cfg.Transport = transport
					conn, err := websock.Dial(t.Context(), target, cfg)
					if err != nil {
						t.Fatal(err)
					}
					defer conn.Close()
					conn.SetRecvDeadline(time.Now().Add(patience))
					for _, size := range []int{0, 1, 125, 70000} {
						if err := conn.SendText(payload(size)); err != nil {
							t.Fatal(err)
						}
						if _, msg, err := conn.RecvMessage(nil); err != nil || string(msg) != string(payload(size)) {
							t.Fatalf("%d of %d bytes: %v", len(msg), size, err)
						}
					}
				})
			}
		}
	})
}

func TestProxyRejectsWrongUser(t *testing.T) {
	wantUsers := slices.DeleteFunc(slices.Clone(proxies), func(p proxyServer) bool { return !p.user })
	eachProxy(t, wantUsers, func(t *testing.T, p proxyServer, via *url.URL, c *certificate) {
		ws, _ := backends(t, c)
		for _, user := range []*url.Userinfo{nil, url.UserPassword("me", "wrong")} {
			via.User = user
			_, err := websock.Dial(t.Context(), ws, byWayOf(via, c.roots))
			var failed *websock.HandshakeError
			if !errors.As(err, &failed) || failed.Proxy != via.Host {
				t.Fatalf("user %v: %v", user, err)
			}
			// tinyproxy 1.11 answers 401 to an unknown user.
			refused := failed.Status == http.StatusProxyAuthRequired || failed.Status == http.StatusUnauthorized
			if strings.HasPrefix(via.Scheme, "http") && (!refused || len(failed.Body) == 0) {
				t.Errorf("%v, body %q", err, failed.Body)
			}
			if !fanout.Permanent(err) && refused {
				t.Errorf("a Group would retry after %v", err)
			}
		}
	})
}

func TestTargetDownBehindProxy(t *testing.T) {
	eachProxy(t, proxies, func(t *testing.T, p proxyServer, via *url.URL, c *certificate) {
		for _, target := range []string{"ws://127.0.0.1:1/", "wss://127.0.0.1:1/"} {
			_, err := websock.Dial(t.Context(), target, byWayOf(via, c.roots))
			var failed *websock.HandshakeError
			if !errors.As(err, &failed) || failed.Proxy != via.Host {
				t.Fatal(err)
			}
			if strings.HasPrefix(via.Scheme, "http") && (failed.Status < 500 || !strings.Contains(string(failed.Body), "<html")) {
				t.Errorf("status %d, %q", failed.Status, failed.Body)
			}
		}
	})
}

func TestProxyHeader(t *testing.T) {
	dir := folder(t)
	c := newCertificate(t, dir)
	via, err := url.Parse(squid("http", squidAuth)(t, dir, c))
	if err != nil {
		t.Fatal(err)
	}
	ws, _ := backends(t, c)
	cfg := byWayOf(via, nil)
	cfg.ProxyHeader = func(context.Context, *url.URL, string) (http.Header, error) {
		return http.Header{"Proxy-Authorization": {"Basic bWU6c2VjcmV0"}}, nil
	}
	conn, err := websock.Dial(t.Context(), ws, cfg)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

// Only the proxy can resolve the host name.
func TestProxyFromEnvironment(t *testing.T) {
	dir := folder(t)
	c := newCertificate(t, dir)
	via := squid("http", "")(t, dir, c)
	for _, name := range []string{"http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"} {
		t.Setenv(name, "")
	}
	t.Setenv("HTTP_PROXY", via)
	t.Setenv("HTTPS_PROXY", via)
	t.Setenv("NO_PROXY", "direct.test")
	ws, wss := backends(t, c)
	for _, target := range []string{ws, wss} {
		named := strings.Replace(target, "127.0.0.1", "feed.test", 1)
		cfg := &websock.Config{TLS: &tls.Config{RootCAs: c.roots, ServerName: "example.com"}}
		conn, err := websock.Dial(t.Context(), named, cfg)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		direct := strings.Replace(target, "127.0.0.1", "direct.test", 1)
		var failed *websock.HandshakeError
		if _, err = websock.Dial(t.Context(), direct, cfg); !errors.As(err, &failed) || failed.Proxy != "" {
			t.Errorf("a host in NO_PROXY: %v", err)
		}
	}
}

func TestGroupThroughProxy(t *testing.T) {
	eachProxy(t, proxies, func(t *testing.T, p proxyServer, via *url.URL, c *certificate) {
		const slots = 30
		ws, _ := backends(t, c)
		received := make(chan struct{}, slots)
		cfg := *byWayOf(via, c.roots)
		cfg.Transport = epoll.Transport()
		g, err := fanout.Start(fanout.Options{
			Targets:   []fanout.Target{{URL: ws, Config: cfg}},
			Size:      slots,
			Pace:      fanout.Pace{Rate: -1, PerHost: 8},
			OnMessage: func(*fanout.Slot, websock.Opcode, []byte) { received <- struct{}{} },
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		defer g.Shutdown(ctx)
		if err := g.WaitUp(ctx, slots); err != nil {
			t.Fatal(err, g.Slot(0).Err())
		}
		g.Broadcast(websock.OpText, []byte("hello"))
		for range slots {
			<-received
		}
	})
}
