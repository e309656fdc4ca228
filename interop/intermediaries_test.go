package interop

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// idleTimeout is longer than machines stand still.
const idleTimeout = 10 * time.Second

// An intermediary is in front of a server, closes connections that are idle for idleTimeout, and answers
// with a page if the server is down.
type intermediary struct {
	name  string
	start func(t *testing.T, dir string, c *certificate, backend string) (ws, wss string)
	page  string // part of the page
	down  int    // status of the page
}

var intermediaries = []intermediary{
	{"haproxy", haproxy, "503 Service Unavailable", 503},
	{"nginx", nginx("proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"), "502 Bad Gateway", 502},
}

func haproxy(t *testing.T, dir string, c *certificate, backend string) (ws, wss string) {
	program := debian(t, "haproxy", "haproxy")
	start := func(secure string) string {
		return address(t, func(port string) *exec.Cmd {
			conf := write(t, dir, "haproxy"+port+".cfg", fill(`defaults
  mode http
  timeout connect {idle}
  timeout client {idle}
  timeout server {idle}
  timeout tunnel {idle}
listen front
  bind 127.0.0.1:{port} {secure}
  server back {backend}
`, "{port}", port, "{secure}", secure, "{backend}", backend, "{idle}", idleTimeout.String()), 0o644)
			return exec.Command(program, "-db", "-f", conf)
		})
	}
	return "ws://" + start(""), "wss://" + start("ssl crt "+c.files["both"])
}

// nginx forwards with settings.
func nginx(settings string) func(*testing.T, string, *certificate, string) (string, string) {
	return func(t *testing.T, dir string, c *certificate, backend string) (ws, wss string) {
		program := debian(t, "nginx", "nginx-light")
		start := func(secure string) string {
			return address(t, func(port string) *exec.Cmd {
				conf := write(t, dir, "nginx"+port+".conf", fill(`daemon off; master_process off;
worker_processes 1;
error_log {dir}/error.log;
pid {dir}/nginx{port}.pid;
events { worker_connections 500; }
http {
  access_log off;
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  ssl_certificate {cert}; ssl_certificate_key {key};
  server {
    listen 127.0.0.1:{port}{secure};
    location / { proxy_pass http://{backend}; proxy_read_timeout {idle}; {settings} }
  }
}
`, "{port}", port, "{dir}", dir, "{secure}", secure, "{backend}", backend, "{settings}", settings, "{idle}", idleTimeout.String(),
					"{cert}", c.files["cert"], "{key}", c.files["key"]), 0o644)
				return exec.Command(program, "-c", conf, "-e", dir+"/error.log")
			})
		}
		return "ws://" + start(""), "wss://" + start(" ssl")
	}
}

func eachIntermediary(t *testing.T, backend string, f func(t *testing.T, m intermediary, urls []string, c *certificate)) {
	for _, m := range intermediaries {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel() // some of it takes the time of a few timeouts
			dir := folder(t)
			c := newCertificate(t, dir)
			ws, wss := m.start(t, dir, c, backend)
			f(t, m, []string{ws, wss}, c)
		})
	}
}

// echoBackend returns the host and port of an echo server.
func echoBackend(t *testing.T) string {
	u, err := url.Parse(inProcess(gorillaEcho)(t))
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func TestEchoThroughIntermediary(t *testing.T) {
	eachIntermediary(t, echoBackend(t), func(t *testing.T, _ intermediary, urls []string, c *certificate) {
		for _, u := range urls {
			for name, transport := range transports {
				cfg := &websock.Config{TLS: &tls.Config{RootCAs: c.roots}, Transport: transport, Timeout: patience, Limits: unhurried}
				conn, err := websock.Dial(t.Context(), u, cfg)
				if err != nil {
					t.Fatal(name, u, err)
				}
				conn.SetRecvDeadline(time.Now().Add(patience))
				for _, size := range []int{1, 125, 70000} {
					if err := conn.SendText(payload(size)); err != nil {
						t.Fatal(err)
					}
					if _, msg, err := conn.RecvMessage(nil); err != nil || string(msg) != string(payload(size)) {
						t.Fatalf("%d of %d bytes: %v", len(msg), size, err)
					}
				}
				if err := conn.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

// Without pings an idle connection is closed and dialed again; with pings it stays open.
func TestGroupAndIdleTimeouts(t *testing.T) {
	eachIntermediary(t, echoBackend(t), func(t *testing.T, _ intermediary, urls []string, c *certificate) {
		for _, ping := range []time.Duration{-1, 200 * time.Millisecond} {
			t.Run(fmt.Sprintf("ping %v", ping), func(t *testing.T) {
				t.Parallel()
				var targets []fanout.Target
				for _, u := range urls {
					targets = append(targets, fanout.Target{URL: u, Config: websock.Config{
						TLS: &tls.Config{RootCAs: c.roots}, Transport: epoll.Transport(), Timeout: patience, Limits: unhurried,
					}})
				}
				var cuts atomic.Int32
				g, err := fanout.Start(fanout.Options{
					Targets:     targets,
					Ping:        ping,
					PingTimeout: patience,
					Backoff:     fanout.Backoff{Base: 10 * time.Millisecond},
					OnDown: func(_ *fanout.Slot, err error, next time.Duration) {
						if next < 0 { // Shutdown
							return
						}
						cuts.Add(1)
						var closed *websock.CloseError
						if !errors.As(err, &closed) || closed.Code != websock.CloseAbnormal {
							t.Error(err)
						}
					},
				})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), idleTimeout+2*patience)
				defer cancel()
				if err := g.WaitUp(ctx, len(targets)); err != nil {
					t.Fatal(err, g.Slot(0).Err(), g.Slot(1).Err())
				}
				if ping < 0 {
					for g.Stats().Ready < 4 { // each was closed and dialed again
						select {
						case <-ctx.Done():
							t.Fatalf("%+v", g.Stats())
						case <-time.After(10 * time.Millisecond):
						}
					}
				} else {
					time.Sleep(2*idleTimeout + time.Second)
					if n := cuts.Load(); n > 0 {
						t.Errorf("%d were closed in spite of pings", n)
					}
				}
				if err := g.Shutdown(ctx); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestServerDownBehindIntermediary(t *testing.T) {
	eachIntermediary(t, "127.0.0.1:1", func(t *testing.T, m intermediary, urls []string, c *certificate) {
		for _, u := range urls {
			_, err := websock.Dial(t.Context(), u, &websock.Config{TLS: &tls.Config{RootCAs: c.roots}, Timeout: patience})
			var failed *websock.HandshakeError
			if !errors.As(err, &failed) || failed.Status != m.down || !strings.Contains(string(failed.Body), m.page) || failed.Proxy != "" {
				t.Fatal(err)
			}
			if fanout.Permanent(err) {
				t.Errorf("a Group would not retry after %v", err)
			}
		}
	})
}

// By default nginx speaks HTTP/1.0 to the server, and forwards no Upgrade.
func TestIntermediaryWithHTTP10(t *testing.T) {
	dir := folder(t)
	ws, _ := nginx("")(t, dir, newCertificate(t, dir), echoBackend(t))
	_, err := websock.Dial(t.Context(), ws, &websock.Config{Timeout: patience})
	var failed *websock.HandshakeError
	if !errors.As(err, &failed) || failed.Status != 400 || !strings.Contains(string(failed.Body), "Bad Request") {
		t.Errorf("%v, %+v", err, failed)
	}
}
