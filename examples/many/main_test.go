package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// The server answers each subscription with a message. The test aborts all connections once.
func TestReconnectsAllConnections(t *testing.T) {
	const n = 300
	var mu sync.Mutex
	open := map[*websock.Conn]bool{}
	subscriptions := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, &websock.AcceptOptions{Transport: epoll.Transport()})
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		open[conn] = true
		conn.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
			mu.Lock()
			subscriptions[string(msg)]++
			mu.Unlock()
			c.SendText([]byte("news"))
		}, func(c *websock.Conn, _ error) {
			mu.Lock()
			delete(open, c)
			mu.Unlock()
		}))
	}))
	defer server.Close()
	var messages atomic.Int64
	group, err := keepOpen("ws"+strings.TrimPrefix(server.URL, "http"), n, &messages)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Shutdown(context.Background())
	until(t, "all are subscribed", func() bool { return messages.Load() == n })
	mu.Lock()
	for conn := range open {
		go conn.Abort(nil)
	}
	mu.Unlock()
	until(t, "all are subscribed again", func() bool { return messages.Load() == 2*n })
	mu.Lock()
	defer mu.Unlock()
	if len(subscriptions) != n {
		t.Errorf("%d slots have subscribed, want %d", len(subscriptions), n)
	}
	for subscription, times := range subscriptions {
		if times != 2 {
			t.Errorf("%q was received %d times", subscription, times)
		}
	}
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}
