package fanout

import (
	"context"
	"errors"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestCallsForASlotAreSequential(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots = 20
		server := newTestServer(t)
		server.OnMessage = func(c *websock.Conn, op websock.Opcode, msg []byte) {
			c.SendFrame(op, true, msg)
			if len(msg) == 1 {
				c.Abort(nil)
			}
		}
		orders := make([]callOrder, slots)
		for i := range orders {
			orders[i].t = t
		}
		var rounds atomic.Int32
		var over atomic.Bool
		g := startGroup(t, Options{
			Size: slots,
			Choose: func(s *Slot) Target {
				defer orders[s.Number()].enter("Choose", "", "OnDown")()
				return targetsFor(transport, server.url())[0]
			},
			Prepare: func(_ context.Context, s *Slot, _ *Target) error {
				defer orders[s.Number()].enter("Prepare", "Choose")()
				return nil
			},
			OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
				defer orders[s.Number()].enter("OnConnect", "Prepare")()
				return c.SendText([]byte("hello"))
			},
			OnMessage: func(s *Slot, _ websock.Opcode, msg []byte) {
				defer orders[s.Number()].enter("OnMessage", "OnConnect", "OnMessage")()
				if s.Conn() == nil {
					t.Error("OnMessage doesn't see the connection")
				}
				if len(msg) > 1 {
					s.SendText([]byte("!")) // on which the server aborts
				}
			},
			Permanent: func(err error) bool { return false },
			OnDown: func(s *Slot, err error, _ time.Duration) {
				defer orders[s.Number()].enter("OnDown", "OnConnect", "OnMessage", "Prepare", "Choose")()
				if over.Load() {
					t.Error("OnDown after Shutdown")
				}
				time.Sleep(time.Millisecond) // so that an attempt that doesn't wait for OnDown is noticed
				rounds.Add(1)
			},
			OnUnsent: func(*Slot, int, error) {},
			Backoff:  Backoff{Base: time.Microsecond, Max: time.Microsecond},
		})
		waitUntil(t, "many rounds", func() bool { return rounds.Load() > 10*slots })
		shutdown(t, g)
		over.Store(true)
	})
}

func TestCallsBeforeStartReturnsCanReachTheGroup(t *testing.T) {
	server := newTestServer(t)
	for range 20 {
		var mismatches atomic.Int32
		var group atomic.Pointer[Group]
		check := func(s *Slot) {
			if g := s.Group(); g == nil || !group.CompareAndSwap(nil, g) && group.Load() != g || g.Slot(s.Number()) != s {
				mismatches.Add(1)
			}
		}
		g := startGroup(t, Options{
			Size:      10,
			Choose:    func(s *Slot) Target { check(s); return targetsFor(nil, server.url())[0] },
			Prepare:   func(_ context.Context, s *Slot, _ *Target) error { check(s); return nil },
			OnConnect: func(_ context.Context, s *Slot, _ *websock.Conn) error { check(s); return nil },
		})
		waitAllUp(t, g)
		if mismatches.Load() != 0 || group.Load() != g {
			t.Fatal("a function of Options has seen no Group, or another one")
		}
	}
}

func TestOnConnectSendsAndReceivesFirst(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		var mu sync.Mutex
		first := map[*websock.Conn]string{}
		server.OnConn = func(c *websock.Conn) { c.SendText([]byte("who are you?")) }
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, msg []byte) {
			mu.Lock()
			defer mu.Unlock()
			if first[c] == "" {
				first[c] = string(msg)
			}
		}
		g := startGroup(t, Options{
			Targets: targetsFor(transport, server.url()),
			Size:    10,
			OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
				_, question, err := c.RecvMessage(nil) // before there is a Handler
				if string(question) != "who are you?" {
					t.Errorf("%q", question)
				}
				return errors.Join(err, c.SendText([]byte("slot "+s.Key())))
			},
			OnMessage: func(_ *Slot, _ websock.Opcode, msg []byte) { t.Errorf("%q", msg) },
		})
		stop := make(chan struct{})
		var senders sync.WaitGroup
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					g.Broadcast(websock.OpText, []byte("too early"))
				}
			}
		})
		waitAllUp(t, g)
		close(stop)
		senders.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, text := range first {
			if text == "too early" {
				t.Error(text)
			}
		}
	})
}

func TestTimeoutBoundsPrepareAndOnConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return servePipe(ignoreAll), nil })
		targets := d.targets("a")
		targets[0].Config.Timeout = 2 * time.Second
		var downs []error
		prepared := 0
		_, shutDown := startInBubble(t, Options{
			Targets: targets,
			Backoff: Backoff{Base: time.Minute},
			Prepare: func(ctx context.Context, _ *Slot, _ *Target) error {
				if prepared++; prepared == 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			},
			OnConnect: func(_ context.Context, _ *Slot, c *websock.Conn) error {
				_, _, err := c.RecvMessage(nil)
				return err
			},
			OnDown: func(_ *Slot, err error, _ time.Duration) { downs = append(downs, err) },
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		for i, err := range downs {
			if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, new(*websock.CloseError)) != (i > 0) {
				t.Errorf("failure %d: %v", i, err)
			}
		}
		if len(downs) < 3 {
			t.Errorf("%v", downs)
		}
		shutDown()
	})
}

func TestOnDataGetsPayloadAsItArrives(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		var got atomic.Int64
		g := startGroup(t, Options{
			Targets: targetsFor(transport, server.url()),
			OnData: func(_ *Slot, h websock.Header, payload []byte) {
				got.Add(int64(len(payload)))
				if h.Length != 300000 {
					t.Errorf("%+v", h)
				}
			},
		})
		waitAllUp(t, g)
		if err := g.Slot(0).SendBinary(make([]byte, 300000)); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "all payload", func() bool { return got.Load() == 300000 })
	})
}

// optionsThatDoNotReturn sets one function of Options so that it calls leave, which doesn't return the
// first time for the first slot.
var optionsThatDoNotReturn = map[string]func(o *Options, leave func(*Slot)){
	"Choose": func(o *Options, leave func(*Slot)) {
		target := o.Targets[0]
		o.Targets = nil
		o.Choose = func(s *Slot) Target { leave(s); return target }
	},
	"Prepare": func(o *Options, leave func(*Slot)) {
		o.Prepare = func(_ context.Context, s *Slot, _ *Target) error { leave(s); return nil }
	},
	"Trace": func(o *Options, leave func(*Slot)) {
		o.Trace = func(s *Slot) *websock.Trace { leave(s); return nil }
	},
	"OnConnect": func(o *Options, leave func(*Slot)) {
		o.OnConnect = func(_ context.Context, s *Slot, _ *websock.Conn) error { leave(s); return nil }
	},
	"OnMessage": func(o *Options, leave func(*Slot)) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) { leave(s) }
	},
	"OnData": func(o *Options, leave func(*Slot)) {
		o.OnData = func(s *Slot, _ websock.Header, _ []byte) { leave(s) }
	},
	"Permanent": func(o *Options, leave func(*Slot)) {
		var once sync.Once
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) {
			if s.Number() == 0 {
				once.Do(func() { s.Conn().Abort(nil) })
			}
		}
		o.Permanent = func(error) bool {
			leave(&Slot{})
			return false
		}
	},
	"RetryAfter": func(o *Options, leave func(*Slot)) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) {
			if s.Number() == 0 && s.Failures() == 0 {
				s.Conn().Abort(nil)
			}
		}
		o.RetryAfter = func(error) time.Duration {
			leave(&Slot{})
			return 0
		}
	},
	"OnDown": func(o *Options, leave func(*Slot)) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) {
			if s.Failures() == 0 {
				s.Conn().Abort(nil)
			}
		}
		o.OnDown = func(s *Slot, _ error, _ time.Duration) { leave(s) }
	},
}

func TestAPanicOrGoexitEndsOnlyItsAttemptOrConnection(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		for how, leave := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("on purpose") }} {
			for name, set := range optionsThatDoNotReturn {
				t.Run(name+"/"+how, func(t *testing.T) {
					server := newTestServer(t)
					server.OnConn = func(c *websock.Conn) { c.SendText([]byte("hello")) }
					var left, recovered atomic.Int32
					downs := make(chan error, 1000)
					o := Options{Targets: targetsFor(transport, server.url()), Size: 5}
					o.OnDown = func(s *Slot, err error, _ time.Duration) { downs <- err }
					o.Recover = func(s *Slot, v any) {
						if s.Number() != 0 || v != "on purpose" {
							t.Errorf("slot %d: %v", s.Number(), v)
						}
						recovered.Add(1)
					}
					set(&o, func(s *Slot) {
						if s.Number() == 0 && left.Add(1) == 1 {
							leave()
						}
					})
					g := startGroup(t, o)
					waitUntil(t, "the function", func() bool { return left.Load() > 0 })
					if name != "OnDown" && name != "Permanent" && name != "RetryAfter" {
						var failed *websock.HandlerError
						if err := <-downs; !errors.As(err, &failed) {
							t.Error(err)
						}
					}
					if how == "panic" {
						waitUntil(t, "Recover", func() bool { return recovered.Load() == 1 })
					}
					waitAllUp(t, g)
				})
			}
		}
	})
}

// Broadcast belongs to no attempt or connection, so a panic of the OnUnsent that it calls ends none.
func TestAPanicOfOnUnsentInBroadcastIsRecovered(t *testing.T) {
	var recovered atomic.Int32
	g := startGroup(t, Options{
		Targets:  URLs("ws://127.0.0.1:1/"),
		Size:     3,
		OnUnsent: func(*Slot, int, error) { panic("no") },
		Recover: func(_ *Slot, v any) {
			if v == "no" {
				recovered.Add(1)
			}
		},
	})
	if d := g.Broadcast(websock.OpText, nil); d.Down != 3 || recovered.Load() != 3 {
		t.Errorf("%+v, %d recovered", d, recovered.Load())
	}
}

// Shutdown waits for the calls of OnUnsent that a broadcast makes, and then there are no more.
func TestShutdownWaitsForABroadcast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 3
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return nil, errRefused })
		goOn := make(chan struct{})
		calls := 0
		g, shutDown := startInBubble(t, Options{
			Targets: d.targets("a"),
			Size:    slots,
			Backoff: Backoff{Base: time.Hour},
			OnUnsent: func(s *Slot, _ int, _ error) {
				calls++
				<-goOn
				if err := s.Context().Err(); err != nil {
					t.Error(err)
				}
			},
		})
		broadcast := func() { g.Broadcast(websock.OpText, nil) }
		go broadcast()
		synctest.Wait()
		ended := false
		go func() { shutDown(); ended = true }()
		synctest.Wait()
		if calls != 1 || g.over() {
			t.Errorf("Shutdown has returned: %v, %d calls", g.over(), calls)
		}
		close(goOn)
		time.Sleep(2 * time.Hour) // shutDown takes an hour of the bubble
		synctest.Wait()
		if broadcast(); calls != slots || !ended {
			t.Errorf("Shutdown has returned: %v, %d calls", ended, calls)
		}
	})
}

// A slot doesn't end before OnUnsent has returned, also if the connection was lost just before a worker would
// have sent on it.
func TestNothingIsSentOnAConnectionWhoseLossIsBeingHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cut := make(chan struct{})
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
			return servePipe(func(conn net.Conn) {
				go ignoreAll(conn)
				<-cut
			}), nil
		})
		targets := d.targets("a")
		targets[0].Config.Transport = std.Transport() // which doesn't queue
		decide, goOn := make(chan struct{}), make(chan struct{})
		var order []string
		g, shutDown := startInBubble(t, Options{
			Targets:   targets,
			Permanent: func(error) bool { <-decide; return false },
			OnUnsent: func(s *Slot, messages int, _ error) {
				order = append(order, "OnUnsent")
				<-goOn
				if err := s.Context().Err(); err != nil || messages != 1 {
					t.Errorf("%d messages, %v", messages, err)
				}
			},
			OnDown: func(*Slot, error, time.Duration) { order = append(order, "OnDown") },
		})
		defer shutDown()
		waitAllUp(t, g)
		s := g.Slot(0)
		close(cut)
		synctest.Wait() // in Permanent
		if err := s.SendText([]byte("late")); err != nil {
			t.Error(err)
		}
		s.Remove()
		synctest.Wait()
		if len(order) != 0 {
			t.Errorf("%v before it is known that the connection is lost", order)
		}
		close(decide)
		synctest.Wait()
		if err := s.Context().Err(); err != nil {
			t.Error(err)
		}
		close(goOn)
		synctest.Wait()
		if err := s.Context().Err(); err == nil || !slices.Equal(order, []string{"OnUnsent", "OnDown"}) {
			t.Errorf("%v, %v", order, err)
		}
	})
}
