package loadgen

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
	"github.com/seed004e8d11/websock/fanout"
)

func TestAScriptKeepsWhatIsDueWhileTheServerDoesNotRead(t *testing.T) {
	reads := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		<-reads
		for err == nil {
			if _, _, err = conn.RecvMessage(nil); err == nil {
				err = conn.SendText([]byte("got it"))
			}
		}
	}))
	defer server.Close()
	s, err := scenario.Parse("large.yaml", []byte(`
messages: [{send: {file: large}, every: 1ms, answer: {regex: got}}]
`), scenario.Sources{ReadFile: func(string) ([]byte, error) { return make([]byte, 1<<20), nil }})
	if err != nil {
		t.Fatal(err)
	}
	g := New(Config{
		Targets:     []fanout.Target{{URL: "ws" + strings.TrimPrefix(server.URL, "http")}},
		Connections: 1, Window: 1, Scenario: s, AnswerTimeout: time.Minute,
	})
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	go func() {
		defer end()
		defer close(reads)
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			if now := g.Snapshot(); now.Due > now.Sent+50 {
				return // the queue is full
			}
			if time.Now().After(end) {
				t.Errorf("%+v", g.Snapshot())
				return
			}
		}
	}()
	g.Exchange(ctx, 0)
	result, _ := g.Finish(t.Context(), time.Minute)
	if got := result.Final; got.Errors != 0 || got.Sent == 0 || got.Awaited != got.Answered || got.Due != got.Sent+got.Unsent || got.Unsent < 1 {
		t.Errorf("%+v", result)
	}
}

func TestAMissingAnswerIsCountedOnce(t *testing.T) {
	s, err := scenario.Parse("silent.yaml", []byte("messages: [{send: a, every: 1s, answer: any}]"), scenario.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		end := make(chan struct{})
		server := newPipeServer(t, func(conn *websock.Conn) {
			go conn.RecvMessage(nil)
			<-end // it does not answer the close frame, either
		})
		g := New(Config{Targets: []fanout.Target{server.target()}, Connections: 1, Scenario: s, AnswerTimeout: 5 * time.Second})
		if err := g.Dial(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Exchange(t.Context(), 10*time.Second)
		result, _ := g.Finish(t.Context(), time.Second) // closing takes longer than is left for the answers
		if got := result.Errors["answer timeout"]; got != result.Final.Awaited || got < 10 || result.Errors["close timeout"] != 1 {
			t.Errorf("%v of %d messages", result.Errors, result.Final.Awaited)
		}
		close(end)
		server.http.Close()
	})
}
