package loadgen

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
	"github.com/seed004e8d11/websock/fanout"
)

func TestAConnectionThatOpensAfterItsStageSendsNothing(t *testing.T) {
	s, err := scenario.Parse("stages.yaml", []byte(`
stages: [{to: 1, for: 1h}]
messages: [{send: '{{.Sequence}}', every: 1h, answer: {regex: '(.*)'}}]
`), scenario.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for _, closing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			server := newPipeServer(t, serveEcho)
			g := New(Config{
				Targets:     []fanout.Target{server.target()},
				Connections: 1, Window: 1, Scenario: s, AnswerTimeout: time.Minute,
			})
			if err := g.Dial(t.Context()); err != nil {
				t.Fatal(err)
			}
			g.enter(exchanging)
			stages := &stages{gen: g, group: g.group.Load(), closing: map[int]bool{}}
			stages.open(0)
			g.slots[0].closing.Store(closing) // as want does, which finds no connection yet
			waitForUp(t, stages.group, 1)
			result, _ := g.Finish(t.Context(), time.Minute)
			if sent := result.Final.Sent; sent > 0 == closing || result.Final.Answered != sent {
				t.Errorf("closing %v: %+v", closing, result)
			}
			server.http.Close()
		})
	}
}

func TestStagesOpenAndCloseConnections(t *testing.T) {
	s, err := scenario.Parse("stages.yaml", []byte(`
stages: [{to: 8, for: 100ms, name: up}, {for: 100ms, name: stay}, {to: 0, for: 100ms, name: down}, {for: 100ms, name: none}]
messages: [{send: '{{.Sequence}}', every: 5ms, answer: {regex: '(.*)'}}]
`), scenario.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		server := newPipeServer(t, serveEcho)
		g := New(Config{
			Targets:     []fanout.Target{server.target()},
			Connections: 8, Window: 1, Scenario: s, AnswerTimeout: time.Minute,
		})
		if now := g.Snapshot(); now.Asked != 0 || now.Waiting != 0 {
			t.Errorf("before it begins: %+v", now)
		}
		if err := g.Dial(t.Context()); err != nil {
			t.Fatal(err)
		}
		var phases []string
		ctx, end := context.WithCancel(t.Context())
		go func() {
			defer end()
			for end := time.Now().Add(time.Minute); !slices.Contains(phases, "none") || g.Snapshot().Asked > 0; time.Sleep(time.Millisecond) {
				phases = append(phases, g.Snapshot().Phase)
				if time.Now().After(end) {
					t.Errorf("%+v", g.Snapshot())
					return
				}
			}
		}()
		g.Exchange(ctx, 0)
		<-ctx.Done()
		// Which phase is seen first is left to chance.
		names := []string{"dialing", "exchanging", "up", "stay", "down", "none"}
		for last := 0; len(phases) > 0; phases = phases[1:] {
			at := slices.Index(names, phases[0])
			if at < last {
				t.Errorf("%q after %q", phases[0], names[last])
			}
			last = max(at, last)
		}
		result, _ := g.Finish(t.Context(), time.Minute)
		if got := result.Final; got.Errors != 0 || got.Awaited != got.Answered || got.Answered < 10 || got.Attempts != 8 || result.Connections != 8 {
			t.Errorf("%+v", result)
		}
		server.http.Close()
	})
}
