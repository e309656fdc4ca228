package loadgen

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
	"github.com/seed004e8d11/websock/fanout"
)

func TestConnectionsThatComeAndGoLoseNoEcho(t *testing.T) {
	for name, rate := range map[string]float64{"closed loop": 0, "schedule": 2000} {
		t.Run(name, func(t *testing.T) { testConnectionsThatComeAndGo(t, rate) })
	}
}

func testConnectionsThatComeAndGo(t *testing.T, rate float64) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, &websock.AcceptOptions{
			Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil),
		})
	}))
	defer server.Close()
	const slots = 8
	group := make(chan *fanout.Group, 1)
	g := New(Config{
		Targets:     []fanout.Target{{URL: "ws" + strings.TrimPrefix(server.URL, "http")}},
		Connections: slots,
		Message:     payload.New(false, 16),
		Window:      4,
		MessageRate: rate,
		Reconnect:   true,
		NumberOf: func(s *fanout.Slot) int {
			number, err := strconv.Atoi(s.Key())
			if err != nil {
				t.Error(err)
			}
			return number
		},
		Share: func(_ context.Context, o fanout.Options) (*fanout.Group, func(), error) {
			o.Size, o.Pace.Rate = -1, -1
			shared, err := fanout.Start(o)
			group <- shared
			return shared, func() { shared.Shutdown(t.Context()) }, err
		},
	})
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	go func() {
		defer end()
		shared := <-group
		for first := range slots {
			for i := range slots / 2 { // half of them, with other numbers of slots each time
				if _, err := shared.Add(strconv.Itoa((first+i)%slots), fanout.SlotOptions{}); err != nil {
					t.Error(err)
				}
			}
			waitForUp(t, shared, slots/2) // the attempt of a slot that is removed earlier is aborted
			waitForMessages(t, g, int64(1000*(first+1)))
			for s := range shared.Slots() {
				s.Remove()
			}
		}
		shared.Add("0", fanout.SlotOptions{})
		waitForUp(t, shared, 1)
		waitForMessages(t, g, g.Snapshot().Received+1000)
		for end := time.Now().Add(time.Minute); (shared.Stats().Ending > 0 || shared.Stats().Up == 0) && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
	}()
	if err := g.Exchange(ctx, 0); err != nil {
		t.Fatal(err)
	}
	result, err := g.Finish(t.Context(), time.Minute)
	if err != nil || len(result.Errors) > 0 || result.Final.Sent != result.Final.Received || result.Final.Reconnects != 0 || result.Connections != 1 {
		t.Errorf("%+v, %v", result, err)
	}
	if f := result.Final; rate > 0 && f.Sent+f.Unsent != f.Due {
		t.Errorf("%+v", f)
	}
}

// waitForUp waits until n slots of a Group are up.
func waitForUp(t *testing.T, group *fanout.Group, n int) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := group.WaitUp(ctx, n); err != nil {
		t.Error(err)
	}
}

// waitForMessages waits until n messages have been received.
func waitForMessages(t *testing.T, g *LoadGen, n int64) {
	waitForSnapshot(t, g, func(now *measure.Snapshot) bool { return now.Received >= n })
}

// waitForSnapshot waits until a Snapshot is as wished.
func waitForSnapshot(t *testing.T, g *LoadGen, wished func(*measure.Snapshot) bool) {
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		now := g.Snapshot()
		if wished(&now) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("only %+v", now)
			return
		}
	}
}

// On a busy machine, a short run may be over before a goroutine has its turn.
func TestEveryConnectionSendsInTheShortestRun(t *testing.T) {
	const connections, window = 50, 3
	url := startServer(t, func(string) func(*websock.Conn) { return serveEcho })
	once, err := scenario.Parse("once.yaml", []byte("messages: [{send: hello, think: 1h, answer: any}]"), scenario.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		config Config
		least  int64
	}{
		{"windows", Config{Message: payload.New(false, 16), Window: window}, connections * window},
		{"a scenario", Config{Scenario: once, AnswerTimeout: time.Minute}, connections},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.config.Targets, test.config.Connections = []fanout.Target{{URL: url}}, connections
			g := New(test.config)
			if err := g.Dial(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := g.Exchange(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			result, _ := g.Finish(t.Context(), time.Minute)
			if f := result.Final; f.Sent < test.least || f.Answered != f.Sent || len(result.Errors) > 0 {
				t.Errorf("%+v", result)
			}
		})
	}
}

func TestConnectionsThatOpenAfterTheExchangeSendNothing(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		for err == nil {
			_, _, err = conn.RecvMessage(nil)
		}
	}))
	defer server.Close()
	g := New(Config{
		Targets:     []fanout.Target{{URL: "ws" + strings.TrimPrefix(server.URL, "http")}},
		Connections: 2,
		Message:     payload.New(false, 16),
		Window:      1,
	})
	g.enter(draining)
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	result, err := g.Finish(t.Context(), time.Second)
	if err != nil || result.Connections != 2 || result.Final.Sent != 0 {
		t.Errorf("%+v, %v", result, err)
	}
}

func TestASnapshotSaysWhatAllConnectionsDo(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/teapot" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		websock.Accept(w, r, &websock.AcceptOptions{
			Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil),
		})
	}))
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	g := New(Config{
		Targets:     []fanout.Target{{URL: url}, {URL: url + "/teapot"}},
		Connections: 4,
		Message:     payload.New(false, 100),
		Window:      1,
	})
	if now := g.Snapshot(); now.Phase != "dialing" || now.Asked != 4 || now.Waiting != 4 {
		t.Errorf("%+v", now)
	}
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitForSnapshot(t, g, func(now *measure.Snapshot) bool { return now.Up+now.Ended == 4 }) // Dial doesn't wait for the group to count
	if now := g.Snapshot(); now.Asked != 4 || now.Up != 2 || now.Ended != 2 || now.Errors != 2 || now.ErrorsByKind["handshake status 418"] != 2 {
		t.Errorf("%+v", now)
	}
	ctx, end := context.WithCancel(t.Context())
	go func() {
		defer end()
		waitForMessages(t, g, 10)
		if now := g.Snapshot(); now.Phase != "exchanging" || now.Latency.Count() < 10 {
			t.Errorf("%+v", now)
		}
	}()
	g.Exchange(ctx, 0)
	result, _ := g.Finish(t.Context(), time.Minute)
	got := result.Final
	if got.Awaited != got.Sent || got.Answered != got.Sent || got.Received != got.Sent || got.Latency.Count() != got.Sent {
		t.Errorf("%+v", got)
	}
	if got.SentBytes != 100*got.Sent || got.ReceivedBytes != got.SentBytes || got.Phase != "closing" || got.Asked != 0 || got.Ended != 2 || result.Latencies.Count() != got.Sent {
		t.Errorf("%+v", got)
	}
}

func TestNoConnectionIsAskedForBeforeAStageDoes(t *testing.T) {
	g := New(Config{
		Targets:     []fanout.Target{{URL: "ws://localhost/"}},
		Connections: 4,
		Scenario:    &scenario.Scenario{Stages: []scenario.Stage{{To: 4, For: time.Hour}}},
	})
	check := func() {
		t.Helper()
		if now := g.Snapshot(); now.Asked != 0 || now.Waiting != 0 {
			t.Errorf("%+v", now)
		}
	}
	check()
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	check()
	g.shutdown()
}

func TestAnInterruptEndsTheWaitForAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			interrupt time.Duration // after the wait has begun; negative: before
			waits     time.Duration
			failures  int64
		}{
			"in the exchange": {interrupt: -1, waits: time.Minute, failures: 3},
			"in the wait":     {interrupt: 5 * time.Second, waits: 5 * time.Second},
			"never":           {interrupt: time.Hour, waits: time.Minute, failures: 3},
		} {
			g := New(Config{Connections: 1, Window: 1})
			g.slots[0].conn.Store(&connection{conversation: unanswered(3)})
			ctx, cancel := context.WithCancel(t.Context())
			if test.interrupt < 0 {
				cancel()
			} else {
				time.AfterFunc(test.interrupt, cancel)
			}
			begin := time.Now()
			g.awaitAnswers(ctx, time.Minute)
			_, failures := g.failures.soFar()
			if waited := time.Since(begin); waited != test.waits || failures != test.failures {
				t.Errorf("%s: %v, %d failures", name, waited, failures)
			}
			time.Sleep(time.Hour)
		}
	})
}

// unanswered is a conversation in which so many answers never come.
type unanswered int64

func (u unanswered) inFlight() int64                { return int64(u) }
func (unanswered) start()                           {}
func (unanswered) onMessage(websock.Opcode, []byte) {}
func (unanswered) onClose(error)                    {}
