package loadgen

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
	result, _ := g.Finish(time.Minute)
	if got := result.Final; got.Errors != 0 || got.Sent == 0 || got.Awaited != got.Answered || got.Due != got.Sent+got.Unsent || got.Unsent < 1 {
		t.Errorf("%+v", result)
	}
}
