package fanout

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestShutdownSendsWaitingMessagesAndCloses(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots, messages = 20, 50
		server := newTestServer(t)
		var got atomic.Int32
		server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) { got.Add(1) }
		var mu sync.Mutex
		codes := map[websock.CloseCode]int{}
		g := startGroup(t, Options{
			Targets: targetsFor(transport, server.url()),
			Size:    slots,
			OnDown: func(_ *Slot, err error, next time.Duration) {
				var closed *websock.CloseError
				if !errors.As(err, &closed) || next >= 0 {
					t.Errorf("%v, next %v", err, next)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				codes[closed.Code]++
			},
		})
		waitAllUp(t, g)
		for range messages {
			g.Broadcast(websock.OpText, make([]byte, 500))
		}
		shutdown(t, g)
		if n := got.Load(); n != slots*messages {
			t.Errorf("%d messages arrived", n)
		}
		if codes[websock.CloseGoingAway] != slots {
			t.Errorf("%v", codes)
		}
		if s := g.Stats(); s.Stopped != slots || s.Lost[websock.CloseGoingAway] != slots {
			t.Errorf("%+v", s)
		}
		if err := g.Slot(0).SendText(nil); err != ErrClosed || !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if d := g.Broadcast(websock.OpText, nil); d != (Delivery{Down: slots}) {
			t.Errorf("%+v", d)
		}
		g.Slot(0).Retry()
		if state := g.Slot(0).State(); state != Stopped {
			t.Error(state)
		}
		shutdown(t, g) // again
	})
}

// The context of OnConnect, which Shutdown ends, aborts no connection of a slot that is up.
func TestShutdownClosesSlotsThatHaveJustComeUp(t *testing.T) {
	const slots = 200
	server := newTestServer(t)
	shut := make(chan struct{})
	down := make(chan error, slots)
	bounds := make(chan context.Context, slots)
	g := startGroup(t, Options{
		Targets: targetsFor(nil, server.url()),
		Size:    slots,
		Pace:    Pace{Handshakes: slots},
		OnConnect: func(ctx context.Context, _ *Slot, _ *websock.Conn) error {
			bounds <- ctx
			return nil
		},
		OnDown: func(_ *Slot, err error, _ time.Duration) { down <- err },
		Logger: slog.New(&logHook{slog.DiscardHandler, func(message string) {
			if message == "connected" { // the attempt is about to return
				<-shut
			}
		}}),
	})
	waitAllUp(t, g)
	done := make(chan error, 1)
	go func() { done <- g.Shutdown(t.Context()) }()
	for range slots {
		<-(<-bounds).Done()
	}
	time.Sleep(20 * time.Millisecond) // for functions that are called when the contexts end
	close(shut)
	if err := <-done; err != nil {
		t.Error(err)
	}
	for range slots {
		var closed *websock.CloseError
		if err := <-down; !errors.As(err, &closed) || closed.Code != websock.CloseGoingAway {
			t.Fatalf("a connection ended with %v", err)
		}
	}
}

func TestShutdownEndsAttemptsAtEveryStage(t *testing.T) {
	inPrepare, inDial, inConnect := make(chan struct{}, 9), make(chan struct{}, 9), make(chan struct{}, 9)
	server := newTestServer(t)
	targets := targetsFor(nil, server.url())
	targets = append(targets, targetsFor(nil, server.url())...)
	targets = append(targets, targetsFor(nil, server.url())...)
	targets[1].Config.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		inDial <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var unsent atomic.Int32
	g := startGroup(t, Options{
		Targets:    targets,
		Size:       4, // one of them waits for its turn
		SendBuffer: 1000,
		Pace:       Pace{PerHost: -1, Rate: 1e-6, Burst: 3},
		Prepare: func(ctx context.Context, s *Slot, _ *Target) error {
			if s.Number() == 0 {
				inPrepare <- struct{}{}
				<-ctx.Done()
			}
			return ctx.Err()
		},
		OnConnect: func(_ context.Context, _ *Slot, c *websock.Conn) error {
			inConnect <- struct{}{}
			_, _, err := c.RecvMessage(nil)
			return err
		},
		OnUnsent: func(_ *Slot, n int, err error) { unsent.Add(int32(n)) },
	})
	<-inPrepare
	<-inDial
	<-inConnect
	if d := g.Broadcast(websock.OpText, nil); d.Kept != 4 {
		t.Errorf("%+v", d)
	}
	shutdown(t, g)
	if s := g.Stats(); s.Stopped != 4 || s.Failed[FailedShutdown] != 3 || s.Attempts != 3 || unsent.Load() != 4 || s.Dropped != 4 {
		t.Errorf("%+v, %d unsent", s, unsent.Load())
	}
	if err := g.WaitUp(t.Context(), 1); err != ErrDown {
		t.Error(err)
	}
}

func TestShutdownAbortsConnectionsWhenItsContextEnds(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, _ []byte) { c.Pause() }
		targets := targetsFor(transport, server.url())
		targets[0].Config.NetDial = dialSmallBuffer
		g := startGroup(t, Options{Targets: targets, Size: 3, Ping: -1})
		waitAllUp(t, g)
		for g.Slot(0).SendBinary(make([]byte, 64<<10)) == nil {
		}
		g.Broadcast(websock.OpText, []byte("x"))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		err := g.Shutdown(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if s := g.Stats(); s.Stopped != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestShutdownWaitsAtMostForCloseTimeout(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, _ []byte) { c.Pause() }
		targets := targetsFor(transport, server.url())
		targets[0].Config.NetDial = dialSmallBuffer
		targets[0].Config.Limits.CloseTimeout = 50 * time.Millisecond
		g := startGroup(t, Options{Targets: targets, Ping: -1})
		waitAllUp(t, g)
		for g.Slot(0).SendBinary(make([]byte, 64<<10)) == nil {
		}
		if err := g.Shutdown(context.Background()); err != nil { // without CloseTimeout it would never return
			t.Error(err)
		}
	})
}

// The closing handshake doesn't get another CloseTimeout if sending what waits has taken one.
func TestShutdownTakesOneCloseTimeoutIfThePeerDoesNotRead(t *testing.T) {
	for _, messages := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
				return servePipe(func(net.Conn) { time.Sleep(time.Hour) }), nil
			})
			targets := d.targets("feed.example")
			targets[0].Config.Limits = websock.Limits{CloseTimeout: 5 * time.Second, SendQueue: 1 << 20}
			var down error
			g, err := Start(Options{Targets: targets, Ping: -1, OnDown: func(_ *Slot, err error, _ time.Duration) { down = err }})
			if err != nil {
				t.Fatal(err)
			}
			g.WaitUp(t.Context(), 1)
			for range messages {
				if err := g.Slot(0).SendBinary(make([]byte, 64<<10)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // the first one is being sent
			}
			start := time.Now()
			if err := g.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took != 5*time.Second || ReasonOf(down) != ShutDown {
				t.Errorf("%d messages: %v, %v", messages, took, down)
			}
			time.Sleep(time.Hour) // the peer ends
		})
	}
}

// optionsThatHang sets one function of Options so that it calls hang, which doesn't return.
var optionsThatHang = map[string]func(o *Options, hang func()){
	"Choose": func(o *Options, hang func()) {
		target := o.Targets[0]
		o.Targets = nil
		o.Choose = func(s *Slot) Target {
			if s.Number() == 0 {
				hang()
			}
			return target
		}
	},
	"Prepare": func(o *Options, hang func()) {
		o.Prepare = func(_ context.Context, s *Slot, _ *Target) error {
			if s.Number() == 0 {
				hang()
			}
			return nil
		}
	},
	"OnConnect": func(o *Options, hang func()) {
		o.OnConnect = func(_ context.Context, s *Slot, _ *websock.Conn) error {
			if s.Number() == 0 {
				hang()
			}
			return nil
		}
	},
	"OnMessage": func(o *Options, hang func()) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) {
			if s.Number() == 0 {
				hang()
			}
		}
	},
	"OnData": func(o *Options, hang func()) {
		o.OnData = func(s *Slot, _ websock.Header, _ []byte) {
			if s.Number() == 0 {
				hang()
			}
		}
	},
	"OnDown": func(o *Options, hang func()) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) {
			if s.Number() == 0 {
				s.Conn().Abort(nil)
			}
		}
		o.OnDown = func(s *Slot, _ error, _ time.Duration) {
			if s.Number() == 0 {
				hang()
			}
		}
	},
	"Permanent": func(o *Options, hang func()) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) {
			if s.Number() == 0 {
				s.Conn().Abort(nil)
			}
		}
		o.Permanent = func(error) bool {
			hang()
			return false
		}
	},
	"OnUnsent": func(o *Options, hang func()) {
		o.SendBuffer = 1000
		o.Prepare = func(ctx context.Context, s *Slot, _ *Target) error {
			if s.Number() != 0 {
				return nil
			}
			s.SendText([]byte("in vain"))
			return errors.New("no")
		}
		o.Permanent = func(error) bool { return true }
		o.OnUnsent = func(*Slot, int, error) { hang() }
	},
}

func TestShutdownDoesNotWaitForAHangingFunction(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		if over, ok := transport.(muxed); ok {
			transport = muxed{epoll.Loops(1), over.mux} // the server's HTTP/2 is on the loops of all others
		}
		for name, set := range optionsThatHang {
			t.Run(name, func(t *testing.T) {
				server := newTestServer(t)
				server.Transport = std.Transport() // an event loop would hang, too
				server.OnConn = func(c *websock.Conn) { c.SendText([]byte("hello")) }
				h := newHangingFunc(t)
				o := Options{Targets: targetsFor(transport, server.url()), Size: 5, Pace: Pace{Rate: -1}}
				o.Targets[0].Config.Limits.CloseTimeout = time.Hour
				set(&o, h.hang)
				g, err := Start(o)
				if err != nil {
					t.Fatal(err)
				}
				<-h.entered
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				began := time.Now()
				err = g.Shutdown(ctx)
				if took := time.Since(began); took > patience {
					t.Errorf("Shutdown took %v", took)
				}
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if s := g.Stats(); s.Stopped != 5 || s.Up+s.Waiting+s.Connecting != 0 {
					t.Errorf("%+v", s)
				}
				if err := g.Slot(0).SendText(nil); err != ErrClosed {
					t.Error(err)
				}
				waitUntil(t, "all connections are cut", func() bool { return len(server.all()) == 0 })
			})
		}
	})
}

func TestNoFunctionIsCalledAfterShutdown(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnConn = func(c *websock.Conn) {
			for range 100 {
				c.SendText([]byte("hello"))
			}
		}
		h := newHangingFunc(t)
		var over atomic.Bool
		check := func() {
			if over.Load() {
				t.Error("a call after Shutdown")
			}
		}
		g, err := Start(Options{
			Targets:   targetsFor(transport, server.url()),
			Size:      1, // so that no other function is just being called when Shutdown returns
			OnConnect: func(context.Context, *Slot, *websock.Conn) error { check(); return nil },
			OnMessage: func(*Slot, websock.Opcode, []byte) { check(); h.hang() },
			OnDown:    func(*Slot, error, time.Duration) { check() },
			OnUnsent:  func(*Slot, int, error) { check() },
		})
		if err != nil {
			t.Fatal(err)
		}
		<-h.entered
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		g.Shutdown(ctx)
		over.Store(true)
		h.release <- struct{}{}
		time.Sleep(50 * time.Millisecond)
	})
}

func TestNoFunctionIsCalledAfterAPrepareThatOutlivesShutdown(t *testing.T) {
	h := newHangingFunc(t)
	tooLate := func() { t.Error("a call after Shutdown") }
	g, err := Start(Options{
		Targets:  URLs("ws://127.0.0.1:1/"),
		Prepare:  func(context.Context, *Slot, *Target) error { h.hang(); return nil },
		Trace:    func(*Slot) *websock.Trace { tooLate(); return nil },
		OnDown:   func(*Slot, error, time.Duration) { tooLate() },
		OnUnsent: func(*Slot, int, error) { tooLate() },
	})
	if err != nil {
		t.Fatal(err)
	}
	<-h.entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = g.Shutdown(ctx)
	if want := "fanout: Shutdown has cut off 1 of 1 slots: context canceled"; !errors.Is(err, context.Canceled) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	h.release <- struct{}{}
	if d := g.Broadcast(websock.OpText, nil); d.Down != 1 {
		t.Errorf("%+v", d)
	}
	shutdown(t, g) // waits for the attempt
}

func TestFunctionsOfOptionsMayCallShutdown(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		t.Parallel()
		for _, where := range []string{"OnConnect", "OnMessage", "OnDown"} {
			t.Run(where, func(t *testing.T) {
				server := newTestServer(t)
				server.OnConn = func(c *websock.Conn) { c.SendText([]byte("hello")) }
				done := make(chan error, 100)
				var once sync.Once
				stop := func(s *Slot) {
					once.Do(func() {
						ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
						defer cancel()
						done <- s.Group().Shutdown(ctx)
					})
				}
				o := Options{Targets: targetsFor(transport, server.url()), Size: 5, Pace: Pace{Rate: -1}}
				switch where {
				case "OnConnect":
					o.OnConnect = func(_ context.Context, s *Slot, _ *websock.Conn) error { stop(s); return nil }
				case "OnMessage":
					o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) { stop(s) }
				case "OnDown":
					o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) { s.Conn().Abort(nil) }
					o.OnDown = func(s *Slot, _ error, _ time.Duration) { stop(s) }
				}
				g, err := Start(o)
				if err != nil {
					t.Fatal(err)
				}
				if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				if s := g.Stats(); s.Stopped != 5 {
					t.Errorf("%+v", s)
				}
			})
		}
	})
}

func TestShutdownAtAnyMoment(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		t.Parallel()
		faulty, good := faultyServer(t), newTestServer(t)
		targets := append(targetsFor(transport, good.url()), targetsFor(transport, faulty)...)
		for round := range 40 {
			var over atomic.Bool
			var downs atomic.Int64
			check := func() {
				if over.Load() {
					t.Error("a call after Shutdown")
				}
			}
			g, err := Start(Options{
				Targets: targets, Size: 12, SendBuffer: 1000, QueueBudget: 1 << 20,
				Pace:    Pace{Rate: -1, Handshakes: 4},
				Backoff: Backoff{Base: time.Millisecond, Max: 5 * time.Millisecond},
				Ping:    2 * time.Millisecond,
				Prepare: func(context.Context, *Slot, *Target) error { check(); return nil },
				OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
					check()
					if s.Number()%5 == 4 {
						return errors.New("no")
					}
					return c.SendText([]byte("hello"))
				},
				OnMessage: func(s *Slot, op websock.Opcode, msg []byte) { check(); s.Send(op, msg) },
				OnDown: func(s *Slot, _ error, _ time.Duration) {
					check()
					downs.Add(1)
					s.SendText([]byte("later"))
				},
				OnUnsent: func(*Slot, int, error) { check() },
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(round) * 250 * time.Microsecond)
			g.Broadcast(websock.OpText, []byte("news"))
			var twice sync.WaitGroup
			if round%4 == 0 {
				twice.Go(func() { shutdown(t, g) })
			}
			shutdown(t, g)
			twice.Wait()
			over.Store(true)
			s := g.Stats()
			failed := uint64(0)
			for _, n := range s.Failed {
				failed += n
			}
			if s.Stopped != 12 || s.Attempts != s.Ready+failed || s.Ready != totalLost(s) || uint64(downs.Load()) != failed+totalLost(s) {
				t.Errorf("round %d: %d calls of OnDown, %+v", round, downs.Load(), s)
			}
			if used := g.budget.used.Load(); used != 0 {
				t.Errorf("round %d: %d bytes of the budget are used", round, used)
			}
		}
	})
}
