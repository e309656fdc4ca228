package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// newServer serves each connection with serve, and returns its URL.
func newServer(t *testing.T, serve func(*websock.Conn)) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func newTestClient(t *testing.T, url string, notify func(string, json.RawMessage)) *client {
	t.Helper()
	c, err := newClient(url, notify)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
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
		waitUntil(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
	})
}

// A node is a server, with the state of one connection. It answers "sum" at once, "late" after the next
// call was answered, "bad" with an error, and a batch in reverse order. When "late" has come, it notifies the
// client that it is "waiting". On "hang up" it aborts the connection. "subscribe" is answered with an id, and
// "say" has its params sent to that subscription.
type node struct {
	conn *websock.Conn
	late []json.RawMessage
}

func serveNode(conn *websock.Conn) {
	n := node{conn: conn}
	n.send(`{"jsonrpc":"2.0","method":"hello","params":["world"]}`)
	for {
		_, text, err := conn.RecvMessage(nil)
		if err != nil {
			return
		}
		requests, err := parse(text)
		if err != nil {
			n.send(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no JSON"}}`)
			continue
		}
		var responses []string
		for _, r := range requests {
			if response := n.handle(r); response != "" {
				responses = append([]string{response}, responses...)
			}
		}
		switch {
		case text[0] == '[':
			n.send("[%s]", strings.Join(responses, ","))
		case len(responses) > 0:
			n.send("%s", responses[0])
		}
	}
}

func (n *node) send(format string, args ...any) { n.conn.SendText(fmt.Appendf(nil, format, args...)) }

// handle returns the response to a request, or "" if there is none now.
func (n *node) handle(r message) string {
	result := ""
	switch r.Method {
	case "hang up":
		n.conn.Abort(nil)
		return ""
	case "late":
		n.late = append(n.late, r.ID)
		n.send(`{"jsonrpc":"2.0","method":"waiting"}`)
		return ""
	case "bad":
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":-32602,"message":"not numbers","data":[1]}}`, r.ID)
	case "subscribe":
		result = `"0x1"`
	case "say":
		n.send(`{"jsonrpc":"2.0","method":"said","params":{"subscription":"0x1","result":%s}}`, r.Params)
		result = "true"
	case "sum":
		var numbers []int
		json.Unmarshal(r.Params, &numbers)
		sum := 0
		for _, n := range numbers {
			sum += n
		}
		result = fmt.Sprint(sum)
		for _, id := range n.late {
			defer n.send(`{"jsonrpc":"2.0","id":%s,"result":-1}`, id)
		}
		n.late = nil
	default:
		result = "null"
	}
	if len(r.ID) == 0 {
		return ""
	}
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"result":%s}`, r.ID, result)
}
