package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A socket is the server's side of a connection. It joins every topic but "private", replies to the event
// "echo" with its payload, crashes a channel on "crash", closes it on "close", and hangs up on
// "hang up". "say" is broadcast to the topic. It counts the joins of all connections.
type socket struct {
	*testing.T
	conn  *websock.Conn
	joins *int
	refs  map[string]string // join_ref by topic
}

// newServer starts a server, and returns the URL of its socket. refuse, unless nil, decides about joins by number.
func newServer(t *testing.T, refuse func(join int) bool) string {
	leavesNoGoroutines(t)
	joins := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("vsn") != "2.0.0" {
			t.Errorf("the query is %s", r.URL.RawQuery)
		}
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		s := socket{t, conn, &joins, map[string]string{}}
		for {
			_, text, err := conn.RecvMessage(nil)
			var m message
			if err != nil {
				return
			}
			if err := json.Unmarshal(text, &m); err != nil {
				t.Errorf("%s: %v", text, err)
				return
			}
			if !s.handle(m, refuse) {
				conn.Abort(nil)
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http") + "/socket/websocket?token=x"
}

func (s *socket) send(joinRef, ref any, topic, event string, payload any) {
	text, err := json.Marshal([]any{joinRef, ref, topic, event, payload})
	if err != nil {
		s.Error(err)
	}
	s.conn.SendText(text)
}

func (s *socket) reply(m message, status string, response any) {
	s.send(m.JoinRef, m.Ref, m.Topic, eventReply, map[string]any{"status": status, "response": response})
}

func (s *socket) handle(m message, refuse func(join int) bool) bool {
	if m.Event != eventJoin && m.Topic != "phoenix" && m.JoinRef != s.refs[m.Topic] {
		s.Errorf("%s on %s with join_ref %s instead of %s", m.Event, m.Topic, m.JoinRef, s.refs[m.Topic])
	}
	switch m.Event {
	case eventJoin:
		*s.joins++
		if m.JoinRef != m.Ref {
			s.Errorf("join_ref %s, ref %s", m.JoinRef, m.Ref)
		}
		if m.Topic == "private" || refuse != nil && refuse(*s.joins) {
			s.reply(m, "error", map[string]string{"reason": "unauthorized"})
			return true
		}
		s.refs[m.Topic] = m.JoinRef
		s.reply(m, "ok", map[string]int{"join": *s.joins})
	case "echo":
		s.reply(m, "ok", m.raw)
	case "say":
		s.send(nil, nil, m.Topic, "said", m.raw)
		s.send("old", nil, m.Topic, "said", "to an earlier join")
		s.send(nil, nil, "other", "said", "on another topic")
		s.reply(m, "ok", struct{}{})
	case "crash":
		s.send(m.JoinRef, m.JoinRef, m.Topic, eventError, struct{}{})
	case "close":
		s.send(m.JoinRef, m.JoinRef, m.Topic, eventClose, struct{}{})
	case eventLeave:
		s.reply(m, "ok", struct{}{})
		s.send(m.JoinRef, m.JoinRef, m.Topic, eventClose, struct{}{})
	case "heartbeat":
		s.reply(m, "ok", struct{}{})
	case "hang up":
		return false
	default:
		s.reply(m, "error", map[string]string{"reason": "unmatched topic"})
	}
	return true
}

// handler returns a handler, and the events that it gets.
func handler() (handle func(string, json.RawMessage), events chan string) {
	events = make(chan string, 100)
	return func(event string, payload json.RawMessage) { events <- event + string(payload) }, events
}

func expect(t *testing.T, events chan string, want string) {
	t.Helper()
	select {
	case got := <-events:
		if got != want {
			t.Fatalf("%s instead of %s", got, want)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s did not come", want)
	}
}

func newTestClient(t *testing.T, url string) *client {
	t.Helper()
	c, err := newClient(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
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
