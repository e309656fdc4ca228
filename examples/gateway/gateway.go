package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// A gateway forwards messages between browsers and upstream servers.
type gateway struct {
	upstreams *fanout.Group

	mu       sync.RWMutex
	browsers map[*websock.Conn]bool
}

func newGateway(urls []string) (*gateway, error) {
	g := &gateway{browsers: map[*websock.Conn]bool{}}
	var targets []fanout.Target
	for _, url := range urls {
		targets = append(targets, fanout.Target{URL: url, Config: websock.Config{Transport: epoll.Transport()}})
	}
	var err error
	g.upstreams, err = fanout.Start(fanout.Options{Targets: targets, OnMessage: g.fromUpstream})
	return g, err
}

// ServeHTTP accepts a browser.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, &websock.AcceptOptions{
		Transport: epoll.Transport(),
		Limits:    websock.Limits{MessageSize: 64 << 10},
		KeepAlive: websock.KeepAlive{Ping: 30 * time.Second},
	})
	if err != nil {
		log.Print(err) // Accept has answered the request
		return
	}
	g.mu.Lock()
	g.browsers[conn] = true
	g.mu.Unlock()
	conn.SetHandler(websock.Messages(g.fromBrowser, g.gone)) // no error: epoll has callbacks
}

func (g *gateway) fromBrowser(_ *websock.Conn, op websock.Opcode, msg []byte) {
	g.upstreams.Broadcast(op, msg)
}

func (g *gateway) gone(conn *websock.Conn, _ error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.browsers, conn)
}

// fromUpstream sends a message to all browsers. It closes the connection of a browser that does
// not read, instead of waiting for it.
func (g *gateway) fromUpstream(_ *fanout.Slot, op websock.Opcode, msg []byte) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	for conn := range g.browsers {
		if err := conn.SendFrame(op, true, msg); errors.As(err, new(*websock.LimitError)) {
			conn.CloseWith(websock.CloseTryAgainLater, "too slow")
		}
	}
}

// close ends all connections.
func (g *gateway) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	g.upstreams.Shutdown(ctx)
	g.mu.RLock()
	defer g.mu.RUnlock()
	for conn := range g.browsers {
		conn.CloseWith(websock.CloseGoingAway, "")
	}
}
