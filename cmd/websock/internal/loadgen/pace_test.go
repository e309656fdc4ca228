package loadgen

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/cmd/websock/internal/scenario"
	"github.com/seed004e8d11/websock/cmd/websock/internal/schedule"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// runInBubble exchanges messages for d, in a bubble of testing/synctest, with a server that calls serve.
func runInBubble(t *testing.T, d time.Duration, c Config, serve func(*pipeServer) func(*websock.Conn)) (result measure.Result) {
	synctest.Test(t, func(t *testing.T) {
		var s *pipeServer
		s = newPipeServer(t, func(conn *websock.Conn) { serve(s)(conn) })
		c.Targets = []fanout.Target{s.target()}
		c.Message = payload.New(false, 50)
		g := New(c)
		if err := g.Dial(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := g.Exchange(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		var err error
		if result, err = g.Finish(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		s.http.Close()
	})
	return result
}

func TestMessagesAreSentWhenTheyAreDue(t *testing.T) {
	r := runInBubble(t, 10*time.Second, Config{Connections: 8, Window: 1, MessageRate: 5}, func(*pipeServer) func(*websock.Conn) { return serveEcho })
	// Eight connections are due 25 ms after each other, the first at once, and once more at the end.
	f := r.Final
	if f.Due < 400 || f.Due > 401 || f.Sent != f.Due || f.Unsent != 0 || f.Answered != f.Sent || f.Awaited != f.Sent || len(r.Errors) > 0 {
		t.Errorf("%+v", r)
	}
	if r.Lateness.Count() != f.Sent || r.Lateness.Max() != 0 || r.Latencies.Count() != f.Sent || r.Latencies.Max() != 0 || r.ClosedLoop.Count() != f.Sent {
		t.Errorf("lateness %+v, latency %+v", r.Lateness.Percentiles(), r.Latencies.Percentiles())
	}
	if r.Elapsed != 10*time.Second || r.Exchanged < f.Received-1 {
		t.Errorf("%d in %v", r.Exchanged, r.Elapsed)
	}
}

func TestAServerThatStallsShowsInTheOpenModelOnly(t *testing.T) {
	serve := func(*pipeServer) func(*websock.Conn) { return serveEchoAfter(stall(3*time.Second, 5*time.Second)) }
	open := runInBubble(t, 8*time.Second, Config{Connections: 4, Window: 1, MessageRate: 50}, serve)
	near := func(d, want time.Duration) bool { return d > want-want/50 && d < want+want/50 }
	if f := open.Final; f.Answered < 1599 || f.Answered != f.Due-f.Unsent || len(open.Errors) > 0 {
		t.Errorf("%+v", open)
	}
	// A quarter of the messages was due in these 2 s, and waited for 1 s on average.
	if l := open.Latencies; !near(l.Quantile(0.99), 1920*time.Millisecond) || l.Quantile(0.7) != 0 || !near(l.Mean(), 250*time.Millisecond) {
		t.Errorf("from when they were due: %+v", l.Percentiles())
	}
	// A client that waits would have sent one on each connection meanwhile.
	if c := open.ClosedLoop; c.Quantile(0.99) != 0 || !near(c.Max(), 2*time.Second) || c.Count() < 1200 || c.Count() > 1210 {
		t.Errorf("in a closed loop: %+v of %d", c.Percentiles(), c.Count())
	}

	think := time.Millisecond // which keeps the closed loop from turning in no time
	closed := runInBubble(t, 8*time.Second, Config{Connections: 4, Window: 1}, func(*pipeServer) func(*websock.Conn) {
		wait := stall(3*time.Second, 5*time.Second)
		return serveEchoAfter(func() {
			time.Sleep(think)
			wait()
		})
	})
	if l := closed.Latencies; l.Quantile(0.99) > 2*think || !near(l.Max(), 2*time.Second) || closed.ClosedLoop.Count() != 0 || closed.Lateness.Count() != 0 {
		t.Errorf("a closed loop measures %+v", l.Percentiles())
	}
}

func TestTheScheduleGoesOnWhileAConnectionIsDown(t *testing.T) {
	r := runInBubble(t, 5*time.Minute, Config{Connections: 2, Window: 1, MessageRate: 20, Reconnect: true}, func(s *pipeServer) func(*websock.Conn) {
		return func(conn *websock.Conn) {
			if time.Since(s.began) < 10*time.Second {
				defer time.AfterFunc(10*time.Second, func() {
					s.down.Store(true)
					conn.Abort(nil)
				}).Stop()
				time.AfterFunc(20*time.Second, func() { s.down.Store(false) })
			}
			serveEcho(conn)
		}
	})
	f := r.Final
	if f.Due < 12_000 || f.Due > 12_002 || f.Sent+f.Unsent != f.Due || f.Unsent < 400 || f.Sent < 400 || f.Reconnects != 2 {
		t.Errorf("%+v", r)
	}
	if r.Lateness.Max() > 0 {
		t.Errorf("%v late", r.Lateness.Max()) // what was due meanwhile is not sent afterwards
	}
}

func TestMessagesThatOnlyGoOneWay(t *testing.T) {
	const delay = 30 * time.Millisecond
	push := func(*pipeServer) func(*websock.Conn) {
		return func(conn *websock.Conn) {
			go func() {
				msg := payload.New(true, 100).Content
				for number := range uint64(50) {
					payload.StampTime(msg, number, time.Now())
					time.Sleep(delay)
					conn.SendText(msg)
				}
				conn.SendText([]byte("without a time"))
			}()
			conn.RecvMessage(nil)
		}
	}
	for name, c := range map[string]Config{
		"idle":    {Window: 0},
		"receive": {Window: 1, Mode: Receive},
	} {
		c.Connections = 3
		r := runInBubble(t, 10*time.Second, c, push)
		if f := r.Final; f.Received != 3*51 || f.Sent != 0 || f.Awaited != 0 || r.Exchanged != f.Received || len(r.Errors) > 0 {
			t.Errorf("%s: %+v", name, r)
		}
		if w := r.OneWay; w.Count() != 150 || w.Min() < delay || w.Max() > delay+delay/100 {
			t.Errorf("%s: %+v of %d", name, w.Percentiles(), w.Count())
		}
	}

	r := runInBubble(t, 10*time.Second, Config{Connections: 3, Window: 1, Mode: Receive, Rate: 1}, push)
	if before := r.Before.Received; before <= 51 || r.Exchanged != r.Final.Received-before {
		t.Errorf("%d of %d were received while connections were opened, %d later", before, r.Final.Received, r.Exchanged)
	}

	var got atomic.Int64
	r = runInBubble(t, 10*time.Second, Config{Connections: 3, Window: 1, Mode: Send, MessageRate: 10}, func(*pipeServer) func(*websock.Conn) {
		return func(conn *websock.Conn) {
			conn.SendText([]byte("welcome"))
			for {
				if _, _, err := conn.RecvMessage(nil); err != nil {
					return
				}
				got.Add(1)
			}
		}
	})
	if f := r.Final; f.Sent < 300 || got.Load() != f.Sent || f.Awaited != 0 || f.Received != 3 || r.Exchanged < 300 || f.SentBytes != 50*f.Sent || len(r.Errors) > 0 {
		t.Errorf("send: %+v, and the server has received %d", r, got.Load())
	}
}

func TestAConnectionWhoseServerDoesNotReadDelaysNoOther(t *testing.T) {
	for name, config := range map[string]websock.Config{
		"epoll":  {Transport: epoll.Transport()},
		"std":    {Transport: std.Transport()},
		"HTTP/2": {Mux: new(websock.Mux)},
	} {
		t.Run(name, func(t *testing.T) {
			end := make(chan struct{})
			url := startServer(t, func(path string) func(*websock.Conn) {
				if path == "/deaf" {
					return func(conn *websock.Conn) {
						<-end
						conn.Abort(nil)
					}
				}
				return serveEcho
			})
			g := New(Config{
				Mux:         config.Mux,
				Targets:     []fanout.Target{{URL: url + "/deaf", Config: config}, {URL: url, Config: config}},
				Connections: 4,
				Message:     payload.New(false, 50_000),
				Window:      1,
				MessageRate: 100,
			})
			if err := g.Dial(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go func() {
				defer stop()
				for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
					if now := g.Snapshot(); now.Due > now.Sent+50 {
						break // queues are full
					}
					if time.Now().After(end) {
						t.Error("it reads")
						return
					}
				}
				waitForMessages(t, g, g.Snapshot().Received+100)
			}()
			g.Exchange(ctx, 0)
			close(end)
			result, _ := g.Finish(t.Context(), time.Second)
			f := result.Final
			if f.Sent+f.Unsent != f.Due || f.Unsent == 0 {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestCountersOnlyGrowWhenMessagesCannotBeSent(t *testing.T) {
	send, err := scenario.Parse("large.yaml", []byte("messages: [{send: '{{randomText 50000}}', every: 1ms, answer: any}]"), scenario.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Config{
		"a rate":     {MessageRate: 1000},
		"a scenario": {Scenario: send, AnswerTimeout: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			end := make(chan struct{})
			c.Targets = []fanout.Target{{URL: startServer(t, func(string) func(*websock.Conn) {
				return func(conn *websock.Conn) {
					<-end
					conn.Abort(nil)
				}
			})}}
			c.Connections, c.Message, c.Window = 32, payload.New(false, 50_000), 1
			g := New(c)
			if err := g.Dial(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var exchange sync.WaitGroup
			exchange.Go(func() { g.Exchange(ctx, 0) })
			before := g.Snapshot()
			deadline := time.Now().Add(time.Minute)
			for waiting := 0; waiting < 10_000; { // snapshots in which messages had to wait
				now := g.Snapshot()
				if now.Due > now.Sent {
					waiting++
				}
				if time.Now().After(deadline) {
					t.Fatalf("messages had to wait in %d snapshots", waiting)
				}
				if now.Sent < before.Sent || now.Awaited < before.Awaited || now.SentBytes < before.SentBytes || now.Answered > now.Awaited {
					t.Fatalf("%+v, then %+v", before, now)
				}
				before = now
			}
			close(end)
			stop()
			exchange.Wait()
			g.Finish(t.Context(), time.Second)
		})
	}
}

func TestAnInterruptEndsAScheduleThatCannotBeKept(t *testing.T) {
	g := New(Config{
		Targets:     []fanout.Target{{URL: startServer(t, func(string) func(*websock.Conn) { return serveEcho })}},
		Connections: 4,
		Message:     payload.New(false, 100),
		Window:      1,
		MessageRate: 1e9,
	})
	if err := g.Dial(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		defer interrupt()
		waitForMessages(t, g, 1000)
	}()
	g.Exchange(ctx, 0)
	result, _ := g.Finish(t.Context(), time.Minute)
	f := result.Final
	if f.Unsent == 0 || f.Due != f.Sent+f.Unsent || f.Answered != f.Awaited || len(result.Errors) > 0 {
		t.Errorf("%+v", result)
	}
}

func TestSendingAMessageAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("pools drop some of what is put into them")
	}
	url := startServer(t, func(string) func(*websock.Conn) {
		return func(conn *websock.Conn) {
			var buf [4096]byte
			for {
				if _, _, err := conn.Recv(buf[:]); err != nil {
					return
				}
			}
		}
	})
	for name, mode := range map[string]Mode{"echo": Echo, "send": Send} {
		t.Run(name, func(t *testing.T) {
			g := New(Config{
				Targets:     []fanout.Target{{URL: url, Config: websock.Config{Transport: epoll.Transport()}}},
				Connections: 1,
				Message:     payload.New(false, 100),
				Mode:        mode,
				Window:      1,
			})
			if err := g.Dial(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer g.Finish(t.Context(), 0)
			const period = time.Millisecond
			now := time.Duration(g.now())
			p := &pace{gen: g, slot: &g.slots[0], beat: schedule.NewBeat(now, 1/period.Seconds()), tally: g.tallyOf(0), scratch: g.Message.Content}
			if mode == Echo {
				c := g.slots[0].conn.Load()
				e := newPacedEcho(c)
				e.flights = make([]sentTime, 1<<16) // it grows while messages are in flight
				c.conversation = e
			}
			const runs = 1000
			got := testing.AllocsPerRun(runs, func() {
				now += period
				p.run(now)
			})
			if got != 0 || p.next < runs {
				t.Errorf("%v allocations for each of %d messages", got, p.next)
			}
		})
	}
}
