package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A server is a simulated Centrifugo with one connection at a time. Its channels have a history, except
// those that begin with "plain". It pings every connection at first.
type server struct {
	*testing.T
	url string

	mu       sync.Mutex
	conn     *websock.Conn
	connects int
	pongs    int
	epoch    string
	history  map[string][]string // publications by channel; the offset of the first is 1
	refuse   map[string]int      // channels that are refused, with the code
}

func newServer(t *testing.T) *server {
	leavesNoGoroutines(t)
	s := &server{T: t, epoch: "abc", history: map[string][]string{}, refuse: map[string]int{}}
	listening := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(listening.Close)
	s.url = "ws" + strings.TrimPrefix(listening.URL, "http") + "/connection/websocket"
	return s
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	for {
		_, text, err := conn.RecvMessage(nil)
		if err != nil {
			return
		}
		s.mu.Lock()
		var replies []string
		for line := range bytes.Lines(text) {
			var c command
			if err := json.Unmarshal(line, &c); err != nil {
				s.Errorf("%s: %v", line, err)
			}
			replies = append(replies, s.handleLocked(conn, c)...)
		}
		if len(replies) > 0 {
			conn.SendText([]byte(strings.Join(replies, "\n"))) // several in one message
		}
		s.mu.Unlock()
	}
}

func (s *server) handleLocked(conn *websock.Conn, c command) []string {
	ok := func(result string) []string { return []string{fmt.Sprintf(`{"id":%d,%s}`, c.ID, result)} }
	switch {
	case c.Connect != nil:
		s.connects++
		s.conn = conn
		if c.Connect.Token != fmt.Sprint("token ", s.connects) {
			s.Errorf("connection %d with %s", s.connects, c.Connect.Token)
		}
		return append(ok(`"connect":{"client":"x","version":"0","ping":25,"pong":true}`), "{}")
	case c.ID == 0: // after the connection was lost, too
		s.pongs++
	case conn != s.conn:
		s.Errorf("%+v before connect", c)
	case c.Subscribe != nil:
		r := c.Subscribe
		if code := s.refuse[r.Channel]; code > 0 {
			return ok(fmt.Sprintf(`"error":{"code":%d,"message":"refused"}`, code))
		}
		if strings.HasPrefix(r.Channel, "plain") {
			return ok(`"subscribe":{}`)
		}
		result := subscribeResult{Recoverable: true, Epoch: s.epoch, Offset: uint64(len(s.history[r.Channel]))}
		if r.Recover && r.Epoch == s.epoch {
			result.Recovered = true
			for i, data := range s.history[r.Channel][r.Offset:] {
				result.Publications = append(result.Publications, publication{Data: json.RawMessage(data), Offset: r.Offset + uint64(i) + 1})
			}
		}
		text, _ := json.Marshal(map[string]any{"id": c.ID, "subscribe": result})
		return []string{string(text)}
	case c.Publish != nil:
		s.publishLocked(c.Publish.Channel, string(c.Publish.Data))
		return ok(`"publish":{}`)
	case c.Unsubscribe != nil:
		return ok(`"unsubscribe":{}`)
	}
	return nil
}

// publish publishes in a channel; the client gets it if its connection is open.
func (s *server) publish(channel, data string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.publishLocked(channel, data)
}

func (s *server) publishLocked(channel, data string) {
	s.history[channel] = append(s.history[channel], data)
	offset := len(s.history[channel])
	if strings.HasPrefix(channel, "plain") {
		offset = 0
	}
	if s.conn != nil {
		s.conn.SendText(fmt.Appendf(nil, `{"push":{"channel":%q,"pub":{"data":%s,"offset":%d}}}`, channel, data, offset))
	}
}

// lose aborts the connection.
func (s *server) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn.Abort(nil)
	s.conn = nil
}

// newTestClient connects a client, which has another token each time.
func newTestClient(s *server) *client {
	s.Helper()
	tokens := 0
	c, err := newClient(s.url, func(context.Context) (string, error) {
		tokens++
		return fmt.Sprint("token ", tokens), nil
	})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(c.close)
	if err := c.group.WaitUp(within(s.T), 1); err != nil {
		s.Fatal(err)
	}
	return c
}

// subscribed subscribes to a channel, and returns the publications that come.
func subscribed(t *testing.T, c *client, channel string) (*subscription, chan publication) {
	t.Helper()
	publications := make(chan publication, 100)
	s, err := c.subscribe(within(t), channel, func(p publication) { publications <- p })
	if err != nil {
		t.Fatal(err)
	}
	return s, publications
}

func expect(t *testing.T, publications chan publication, data string, gap bool) {
	t.Helper()
	select {
	case p := <-publications:
		if string(p.Data) != data || p.Gap != gap {
			t.Fatalf("%s, gap %v instead of %s, gap %v", p.Data, p.Gap, data, gap)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s did not come", data)
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
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
