package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestMessagesAreArraysOfFive(t *testing.T) {
	for text, want := range map[string]message{
		`["1","2","room:a","shout",{"a":1}]`:     {JoinRef: "1", Ref: "2", Topic: "room:a", Event: "shout", raw: json.RawMessage(`{"a":1}`)},
		`[null,null,"room:a","shout",null]`:      {Topic: "room:a", Event: "shout", raw: json.RawMessage("null")},
		`[null,"7","phoenix","phx_reply",["x"]]`: {Ref: "7", Topic: "phoenix", Event: "phx_reply", raw: json.RawMessage(`["x"]`)},
	} {
		var got message
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Error(text, err)
		}
		if got.JoinRef != want.JoinRef || got.Ref != want.Ref || got.Topic != want.Topic || got.Event != want.Event || string(got.raw) != string(want.raw) {
			t.Errorf("%s: %+v", text, got)
		}
		got.Payload = got.raw
		if again, err := json.Marshal(got); string(again) != text || err != nil {
			t.Errorf("%s becomes %s, %v", text, again, err)
		}
	}
	for _, text := range []string{`{}`, `[]`, `["1","2","a","b"]`, `[1,2,"a","b",{}]`, `["1","2","a","b",{},{}]`, `[`} {
		if err := json.Unmarshal([]byte(text), new(message)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

func TestPushesHaveRepliesAndTopicsEvents(t *testing.T) {
	c := newTestClient(t, newServer(t, nil))
	ctx := within(t)
	handle, events := handler()
	ch, err := c.join(ctx, "room", map[string]string{"name": "me"}, handle)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := ch.push(ctx, "echo", []int{1, 2}); string(response) != "[1,2]" || err != nil {
		t.Errorf("%s %v", response, err)
	}
	if _, err := ch.push(ctx, "say", "hello"); err != nil {
		t.Error(err)
	}
	expect(t, events, `said"hello"`)
	var refused refusal
	if _, err := ch.push(ctx, "unknown", nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), "unmatched topic") {
		t.Error(err)
	}
	if _, err := c.join(ctx, "private", nil, handle); !errors.As(err, &refused) {
		t.Error(err)
	}
	if _, err := c.join(ctx, "room", nil, handle); err == nil {
		t.Error("a topic was joined twice")
	}
	if err := ch.leave(ctx); err != nil {
		t.Error(err)
	}
	if _, err := ch.push(ctx, "echo", nil); !errors.Is(err, errNotJoined) {
		t.Error(err)
	}
	if len(events) > 0 {
		t.Errorf("more events, the first is %s", <-events)
	}
}

func TestChannelsAreJoinedAgain(t *testing.T) {
	for _, how := range []string{"hang up", "crash"} {
		c := newTestClient(t, newServer(t, nil))
		ctx := within(t)
		handle, events := handler()
		ch, err := c.join(ctx, "room", nil, handle)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`phx_join{"join":2}`, `phx_join{"join":3}`} {
			crash, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			if _, err := ch.push(crash, how, nil); !errors.Is(err, errLost) && !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			cancel()
			if how == "crash" {
				expect(t, events, "phx_error{}")
			}
			expect(t, events, want)
			c.group.WaitUp(ctx, 1)
			if response, err := ch.push(ctx, "echo", 7); string(response) != "7" || err != nil {
				t.Errorf("after %s: %s %v", how, response, err)
			}
		}
	}
}

func TestChannelThatIsClosedOrRefusedIsOver(t *testing.T) {
	for _, how := range []string{"hang up", "crash", "close"} {
		c := newTestClient(t, newServer(t, func(join int) bool { return join == 2 }))
		ctx := within(t)
		handle, events := handler()
		ch, err := c.join(ctx, "room", nil, handle)
		if err != nil {
			t.Fatal(err)
		}
		go ch.push(ctx, how, nil)
		if how == "crash" {
			expect(t, events, "phx_error{}")
		}
		if how == "close" {
			expect(t, events, "phx_close{}")
		} else {
			expect(t, events, `phx_close{"reason":"unauthorized"}`)
		}
		if _, err := ch.push(ctx, "echo", nil); !errors.Is(err, errNotJoined) {
			t.Error(err)
		}
		if how == "close" {
			continue
		}
		if _, err := c.join(ctx, "room", nil, handle); err != nil {
			t.Errorf("once more, after %s: %v", how, err)
		}
	}
}

func TestRequestsAndChannelsAreBounded(t *testing.T) {
	c := newTestClient(t, newServer(t, nil))
	for range maxPending {
		if _, _, err := c.begin(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.join(within(t), "room", nil, nil); !errors.Is(err, errTooMany) {
		t.Error(err)
	}
}

func TestHeartbeatIsOfTheSocket(t *testing.T) {
	leavesNoGoroutines(t)
	got := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		_, text, _ := conn.RecvMessage(nil)
		select {
		case got <- string(text):
		default: // of a connection after the first
		}
	}))
	defer server.Close()
	heartbeatEvery = 10 * time.Millisecond
	defer func() { heartbeatEvery = 30 * time.Second }()
	c := newTestClient(t, "ws"+strings.TrimPrefix(server.URL, "http"))
	defer c.close()
	var m message
	if text := <-got; json.Unmarshal([]byte(text), &m) != nil || m.JoinRef != "" || m.Ref == "" || m.Topic != "phoenix" || m.Event != "heartbeat" {
		t.Error(text)
	}
}
