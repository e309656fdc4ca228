package main

import (
	"context"
	"crypto/subtle"
	_ "embed"
	"fmt"
	"log"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

//go:embed page.html
var page []byte

// A gateway is an HTTP handler for browsers. What it sends never waits, so it may send with its lock held,
// which keeps the messages of a topic in order.
type gateway struct {
	http.ServeMux
	token    string
	upstream *fanout.Group // of one slot
	limits   limits
	ending   context.Context // ends when shutdown begins
	end      context.CancelFunc

	mu       sync.Mutex
	browsers map[*browser]bool
	empty    chan struct{} // closed when the last browser is gone after ending
	topics   map[string]*topic
	told     map[string]bool          // topics to which the present upstream connection is subscribed
	status   *websock.PreparedMessage // the latest upMessage or downMessage
}

// limits bound what browsers can make a gateway use.
type limits struct {
	browsers int           // connections at a time
	topics   int           // of all browsers together
	each     int           // topics of a browser
	patience time.Duration // for which a browser may accept nothing, or not answer that it is closed
}

// newGateway returns a gateway for browsers that have the token. It begins to connect to the upstream.
func newGateway(upstream, token string) (*gateway, error) {
	g := &gateway{
		token:    token,
		limits:   limits{browsers: 10_000, topics: 1000, each: 50, patience: 10 * time.Second},
		browsers: map[*browser]bool{},
		empty:    make(chan struct{}),
		topics:   map[string]*topic{},
		told:     map[string]bool{},
		status:   downMessage,
	}
	g.ending, g.end = context.WithCancel(context.Background())
	g.HandleFunc("GET /{$}", g.servePage)
	g.HandleFunc("/socket", g.accept) // without GET: a browser uses CONNECT over HTTP/2
	err := g.connect(upstream)
	return g, err
}

// servePage logs a browser in if it has the token in its URL, with a cookie that other sites can't have
// it send. Where people log in otherwise, it is the cookie of their session.
func (g *gateway) servePage(w http.ResponseWriter, r *http.Request) {
	if g.isToken(r.FormValue("token")) {
		http.SetCookie(w, &http.Cookie{Name: "token", Value: g.token, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode})
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if err := g.checkToken(r); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(page)
}

func (g *gateway) isToken(given string) bool {
	return subtle.ConstantTimeCompare([]byte(given), []byte(g.token)) == 1
}

// checkToken decides about a request: a browser sends cookies with the opening handshake.
func (g *gateway) checkToken(r *http.Request) error {
	if cookie, err := r.Cookie("token"); err != nil || !g.isToken(cookie.Value) {
		return &websock.HandshakeError{Reason: "log in with the token first", Status: http.StatusUnauthorized}
	}
	return nil
}

// accept accepts the connection of a browser. websock.Accept refuses pages of other origins.
func (g *gateway) accept(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, &websock.AcceptOptions{
		CheckRequest: g.checkToken,
		Transport:    epoll.Transport(),
		Compression:  websock.DefaultCompression, // each message once for all browsers
		Limits:       websock.Limits{MessageSize: 4 << 10, CloseTimeout: g.limits.patience},
		KeepAlive:    websock.KeepAlive{Ping: 30 * time.Second},
	})
	if err != nil {
		log.Print(err) // Accept has answered the request
		return
	}
	b := &browser{conn: conn, patience: g.limits.patience}
	if !g.add(b) {
		conn.CloseWith(websock.CloseTryAgainLater, "too many connections")
		return
	}
	err = conn.SetHandler(websock.Messages(
		func(_ *websock.Conn, _ websock.Opcode, msg []byte) { g.handle(b, msg) },
		func(*websock.Conn, error) { g.remove(b) },
	))
	if err != nil { // the connection has ended already
		conn.Close()
		g.remove(b)
	}
}

func (g *gateway) add(b *browser) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.browsers) == g.limits.browsers || g.ending.Err() != nil {
		return false
	}
	g.browsers[b] = true
	b.send("", g.status)
	return true
}

func (g *gateway) remove(b *browser) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, t := range g.topics {
		if t.browsers[b] {
			g.unsubscribeLocked(b, name)
		}
	}
	delete(g.browsers, b)
	if len(g.browsers) == 0 && g.ending.Err() != nil {
		close(g.empty)
	}
}

// shutdown closes the connections: those of browsers with 1001, so that their pages know that they may connect
// to another server. When ctx ends, it aborts those that are left.
func (g *gateway) shutdown(ctx context.Context) error {
	g.mu.Lock()
	g.end()
	if len(g.browsers) == 0 {
		close(g.empty)
	}
	browsers := slices.Collect(maps.Keys(g.browsers))
	g.mu.Unlock()
	for _, b := range browsers {
		b.conn.CloseWith(websock.CloseGoingAway, "the server is being restarted") // the handler waits for the answer
	}
	err := g.upstream.Shutdown(ctx)
	select {
	case <-g.empty:
		return err
	case <-ctx.Done():
	}
	for _, b := range browsers {
		b.conn.Abort(ctx.Err())
	}
	<-g.empty
	return fmt.Errorf("not all browsers have closed their connection: %w", ctx.Err())
}
