package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

const token = "secret"

// An upstream is a server whose only client is the gateway.
type upstream struct {
	url      string
	conns    chan *websock.Conn // one each time that the gateway connects
	requests chan string        // "+topic" and "-topic"
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{conns: make(chan *websock.Conn, 10), requests: make(chan string, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		u.conns <- conn
		for {
			_, msg, err := conn.RecvMessage(nil)
			var r request
			if err != nil || json.Unmarshal(msg, &r) != nil {
				return
			}
			if r.Subscribe != "" {
				u.requests <- "+" + r.Subscribe
			} else {
				u.requests <- "-" + r.Unsubscribe
			}
		}
	}))
	t.Cleanup(server.Close)
	u.url = webSocketURL(server)
	return u
}

// asked fails the test unless the next request of the gateway is want.
func (u *upstream) asked(t *testing.T, want string) {
	t.Helper()
	select {
	case got := <-u.requests:
		if got != want {
			t.Fatalf("the upstream was asked for %s instead of %s", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("the upstream was not asked for %s", want)
	}
}

func message(topic string, value int) string {
	return fmt.Sprintf(`{"topic":%q,"value":%d}`, topic, value)
}

func webSocketURL(s *httptest.Server) string { return "ws" + strings.TrimPrefix(s.URL, "http") }

// newTestGateway starts a gateway and its server. change may change its limits.
func newTestGateway(t *testing.T, u *upstream, change func(*limits)) (g *gateway, url string) {
	leavesNoGoroutines(t)
	g, err := newGateway(u.url, token)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&g.limits)
	}
	server := httptest.NewServer(g)
	t.Cleanup(func() {
		server.Close()
		if g.ending.Err() == nil {
			g.shutdown(within(t))
		}
	})
	return g, webSocketURL(server) + "/socket"
}

func cookie() http.Header { return http.Header{"Cookie": {"token=" + token}} }

// A testPage is a connection of a browser.
type testPage struct {
	*testing.T
	conn *websock.Conn
}

// open connects a browser, after the upstream is connected.
func open(t *testing.T, url string) testPage {
	t.Helper()
	return openWith(t, url, nil)
}

func openWith(t *testing.T, url string, dial func(ctx context.Context, network, addr string) (net.Conn, error)) testPage {
	t.Helper()
	conn, err := websock.Dial(t.Context(), url, &websock.Config{Header: cookie(), NetDial: dial})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	p := testPage{t, conn}
	if p.next() != `{"upstream":"up"}` {
		p.expect(`{"upstream":"up"}`)
	}
	return p
}

func (p testPage) ask(r request) {
	p.Helper()
	text, err := json.Marshal(r)
	if err != nil {
		p.Fatal(err)
	}
	if err := p.conn.SendText(text); err != nil {
		p.Fatal(err)
	}
}

func (p testPage) next() string {
	p.Helper()
	p.conn.SetRecvDeadline(time.Now().Add(time.Minute))
	_, msg, err := p.conn.RecvMessage(nil)
	if err != nil {
		p.Fatal(err)
	}
	return string(msg)
}

func (p testPage) expect(want string) {
	p.Helper()
	if got := p.next(); got != want {
		p.Fatalf("the browser got %s instead of %s", got, want)
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("not in time: ", what)
		}
	}
}

// leavesNoGoroutines fails a test after which goroutines of it are left.
func leavesNoGoroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				stacks := make([]byte, 64<<10)
				t.Fatalf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}
