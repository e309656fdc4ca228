package fanout

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/transport/std"
)

// An order notes the calls for one slot.
type order struct {
	t      *testing.T
	inside atomic.Int32
	mu     sync.Mutex
	last   string
}

// enter notes a call, which must not come while another one is under way, and only after one of
// these.
func (o *order) enter(call string, after ...string) (leave func()) {
	if o.inside.Add(1) != 1 {
		o.t.Errorf("%s comes while another call is under way", call)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	ok := false
	for _, last := range after {
		ok = ok || last == o.last
	}
	if !ok {
		o.t.Errorf("%s comes after %q", call, o.last)
	}
	o.last = call
	return func() { o.inside.Add(-1) }
}

func TestTheCallsForASlotComeOneAfterAnother(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		const slots = 20
		server := newTestServer(t)
		server.OnMessage = func(c *websock.Conn, op websock.Opcode, msg []byte) {
			c.SendFrame(op, true, msg)
			if len(msg) == 1 {
				c.Abort(nil)
			}
		}
		orders := make([]order, slots)
		for i := range orders {
			orders[i].t = t
		}
		var rounds atomic.Int32
		var over atomic.Bool
		g := begun(t, Options{
			Size: slots,
			Choose: func(s *Slot) Target {
				defer orders[s.Number()].enter("Choose", "", "OnDown")()
				return oneOver(transport, server.url())
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
					s.SendText([]byte("!")) // at which the server cuts
				}
			},
			Permanent: func(err error) bool { return false },
			OnDown: func(s *Slot, err error, _ time.Duration) {
				defer orders[s.Number()].enter("OnDown", "OnConnect", "OnMessage", "Prepare", "Choose")()
				if over.Load() {
					t.Error("OnDown after Shutdown")
				}
				time.Sleep(time.Millisecond) // so that an attempt that doesn't wait for it is seen
				rounds.Add(1)
			},
			OnUnsent: func(*Slot, int, error) {},
			Backoff:  Backoff{Base: time.Microsecond, Max: time.Microsecond},
		})
		eventually(t, "many rounds", func() bool { return rounds.Load() > 10*slots })
		shutdown(t, g)
		over.Store(true)
	})
}

// oneOver returns a single target.
func oneOver(transport websock.Transport, url string) Target { return over(transport, url)[0] }

func TestNothingIsCalledBeforeTheGroupCanBeReached(t *testing.T) {
	server := newTestServer(t)
	for range 20 {
		var mismatches atomic.Int32
		var group atomic.Pointer[Group]
		check := func(s *Slot) {
			if g := s.Group(); g == nil || !group.CompareAndSwap(nil, g) && group.Load() != g || g.Slot(s.Number()) != s {
				mismatches.Add(1)
			}
		}
		g := begun(t, Options{
			Size:      10,
			Choose:    func(s *Slot) Target { check(s); return over(nil, server.url())[0] },
			Prepare:   func(_ context.Context, s *Slot, _ *Target) error { check(s); return nil },
			OnConnect: func(_ context.Context, s *Slot, _ *websock.Conn) error { check(s); return nil },
		})
		allUp(t, g)
		if mismatches.Load() != 0 || group.Load() != g {
			t.Fatal("a function of Options has seen no Group, or another one")
		}
	}
}

func TestRetryWithinOnDownIsHeeded(t *testing.T) {
	url := answering(t, 403, nil)
	var downs atomic.Int32
	begun(t, Options{
		Targets: over(nil, url),
		OnDown: func(s *Slot, _ error, next time.Duration) {
			if next >= 0 {
				t.Error("a 403 doesn't stop the slot")
			}
			if downs.Add(1) < 5 {
				s.Retry()
			}
		},
	})
	eventually(t, "five attempts", func() bool { return downs.Load() == 5 })
}

// A hanging function of Options, which is let go at the end of the test.
type hanging struct {
	inside chan struct{}
	let    chan struct{}
}

func newHanging(t *testing.T) *hanging {
	h := &hanging{make(chan struct{}, 100), make(chan struct{})}
	t.Cleanup(func() { close(h.let) })
	return h
}

func (h *hanging) hang() {
	h.inside <- struct{}{}
	<-h.let
}

// hangs has, for each function of Options, Options with one that never returns.
var hangs = map[string]func(o *Options, hang func()){
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

func TestShutdownDoesNotWaitForAFunctionThatNeverReturns(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		for name, set := range hangs {
			t.Run(name, func(t *testing.T) {
				server := newTestServer(t)
				server.Transport = std.Transport() // not on an event loop that hangs
				server.OnConn = func(c *websock.Conn) { c.SendText([]byte("hello")) }
				h := newHanging(t)
				o := Options{Targets: over(transport, server.url()), Size: 5, Pace: Pace{Rate: -1}}
				o.Targets[0].Config.Limits.CloseTimeout = time.Hour
				set(&o, h.hang)
				g, err := Start(o)
				if err != nil {
					t.Fatal(err)
				}
				<-h.inside
				ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer cancel()
				began := time.Now()
				err = g.Shutdown(ctx)
				if took := time.Since(began); took > 10*time.Second {
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
				eventually(t, "all connections are cut", func() bool { return len(server.all()) == 0 })
			})
		}
	})
}

func TestNothingIsCalledAfterAShutdownThatCut(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnConn = func(c *websock.Conn) {
			for range 100 {
				c.SendText([]byte("hello"))
			}
		}
		h := newHanging(t)
		targets := over(transport, server.url())
		var over atomic.Bool
		check := func() {
			if over.Load() {
				t.Error("a call after Shutdown")
			}
		}
		g, err := Start(Options{
			Targets: targets, Size: 3, Pace: Pace{Rate: -1},
			OnConnect: func(context.Context, *Slot, *websock.Conn) error { check(); return nil },
			OnMessage: func(*Slot, websock.Opcode, []byte) { check(); h.hang() },
			OnDown:    func(*Slot, error, time.Duration) { check() },
			OnUnsent:  func(*Slot, int, error) { check() },
		})
		if err != nil {
			t.Fatal(err)
		}
		<-h.inside
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		g.Shutdown(ctx)
		over.Store(true)
		for range 3 {
			select {
			case h.let <- struct{}{}: // one by one, as they come
			case <-time.After(50 * time.Millisecond):
			}
		}
		time.Sleep(50 * time.Millisecond)
	})
}

// A Prepare that returns too late is followed by no other function.
func TestNothingFollowsAPrepareThatOutlivesShutdown(t *testing.T) {
	h := newHanging(t)
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
	<-h.inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	h.let <- struct{}{}
	if d := g.Broadcast(websock.OpText, nil); d.Down != 1 {
		t.Errorf("%+v", d)
	}
	shutdown(t, g) // waits for the attempt
}

// Broadcast belongs to no slot's attempt or connection, so a panic of its OnUnsent ends none.
func TestAPanicWhileBroadcastingIsRecovered(t *testing.T) {
	var recovered atomic.Int32
	g := begun(t, Options{
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

func TestAFunctionMayCallShutdown(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
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
				o := Options{Targets: over(transport, server.url()), Size: 5, Pace: Pace{Rate: -1}}
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

// leaving has, for each function of Options, Options with one that doesn't return for the first
// slot, at first.
var leaving = map[string]func(o *Options, leave func(*Slot)){
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
	"OnDown": func(o *Options, leave func(*Slot)) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) {
			if s.Failures() == 0 {
				s.Conn().Abort(nil)
			}
		}
		o.OnDown = func(s *Slot, _ error, _ time.Duration) { leave(s) }
	},
}

func TestAFunctionThatDoesNotReturnEndsOnlyItsAttemptOrConnection(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		for how, leave := range map[string]func(){"Goexit": runtime.Goexit, "panic": func() { panic("on purpose") }} {
			for name, set := range leaving {
				t.Run(name+"/"+how, func(t *testing.T) {
					server := newTestServer(t)
					server.OnConn = func(c *websock.Conn) { c.SendText([]byte("hello")) }
					var left, recovered atomic.Int32
					downs := make(chan error, 1000)
					o := Options{Targets: over(transport, server.url()), Size: 5}
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
					g := begun(t, o)
					eventually(t, "the function", func() bool { return left.Load() > 0 })
					if name != "OnDown" && name != "Permanent" {
						var failed *websock.HandlerError
						if err := <-downs; !errors.As(err, &failed) {
							t.Error(err)
						}
					}
					if how == "panic" {
						eventually(t, "Recover", func() bool { return recovered.Load() == 1 })
					}
					allUp(t, g)
				})
			}
		}
	})
}

func TestAGroupIsForgottenAfterShutdown(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		freed := make(chan struct{})
		func() {
			g, err := Start(Options{
				Targets:   append(over(transport, server.url()), URLs("ws://127.0.0.1:1/")...),
				Size:      20,
				Pace:      Pace{Rate: -1},
				Backoff:   Backoff{Base: time.Hour},
				OnMessage: func(*Slot, websock.Opcode, []byte) {},
			})
			if err != nil {
				t.Fatal(err)
			}
			runtime.AddCleanup(g, func(c chan struct{}) { close(c) }, freed)
			if err := g.WaitUp(t.Context(), 10); err != nil {
				t.Fatal(err)
			}
			g.Broadcast(websock.OpText, []byte("x"))
			shutdown(t, g)
		}()
		eventually(t, "the Group is freed", func() bool {
			runtime.GC()
			select {
			case <-freed:
				return true
			case <-time.After(time.Millisecond):
				return false
			}
		})
	})
}

// A server that does everything wrong, at every moment.
func TestAllCountsAddUpAfterFaults(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		faulty := faultyServer(t)
		good := newTestServer(t)
		var downs, connects atomic.Int64
		g := begun(t, Options{
			Targets:    append(over(transport, faulty), over(transport, good.url())...),
			Size:       20,
			SendBuffer: 1000,
			Ping:       5 * time.Millisecond, PingTimeout: 50 * time.Millisecond,
			Pace:    Pace{Rate: 2000},
			Backoff: Backoff{Base: time.Millisecond, Max: 2 * time.Millisecond},
			OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
				connects.Add(1)
				return c.SendText([]byte("hello"))
			},
			OnMessage: func(s *Slot, op websock.Opcode, msg []byte) {
				switch len(msg) % 4 {
				case 0:
					s.Send(op, msg)
				case 1:
					s.Group().Broadcast(op, msg)
				case 2:
					c := s.Conn()
					c.Pause()
					go c.Resume()
				}
			},
			OnDown: func(s *Slot, _ error, _ time.Duration) {
				downs.Add(1)
				s.SendText([]byte("later"))
				s.Retry()
			},
		})
		for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			g.Broadcast(websock.OpBinary, []byte("news"))
			g.Stats()
		}
		shutdown(t, g)
		s := g.Stats()
		failed := uint64(0)
		for _, n := range s.Failed {
			failed += n
		}
		if s.Attempts != s.Ready+failed || s.Ready != lostOf(s) || s.Stopped != 20 || uint64(downs.Load()) != failed+lostOf(s) {
			t.Errorf("%d calls of OnDown, %+v", downs.Load(), s)
		}
	})
}

// faultyServer is one that resets, is silent, answers nonsense or closes, in turn.
func faultyServer(t *testing.T) (url string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	faults := []func(net.Conn){
		func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) },
		func(net.Conn) {},
		func(c net.Conn) { c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")) },
		func(c net.Conn) { c.Write([]byte("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")) },
		func(c net.Conn) { shake(c) },
		func(c net.Conn) { shake(c); c.(*net.TCPConn).SetLinger(0) },
		func(c net.Conn) { shake(c); c.Write([]byte{0x81, 1, 'x'}); c.(*net.TCPConn).SetLinger(0) },
		func(c net.Conn) { shake(c); c.Write([]byte{0x88, 2, 0x03, 0xe9}) },
		func(c net.Conn) { shake(c); c.Write([]byte{0xff, 0xff}); time.Sleep(time.Millisecond) },
		func(c net.Conn) { shake(c); time.Sleep(100 * time.Millisecond) }, // until it is given up
		func(c net.Conn) { shake(c); c.Write([]byte{0x81, 5, 'h', 'e'}); time.Sleep(10 * time.Millisecond) },
	}
	serving.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				faults[n%len(faults)](conn)
			})
		}
	})
	return "ws://" + l.Addr().String() + "/"
}

// shake performs a server's opening handshake.
func shake(conn net.Conn) { handshake.ServerConn(context.Background(), conn, nil) }

func TestShutdownAtAnyMoment(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		faulty, good := faultyServer(t), newTestServer(t)
		targets := append(over(transport, good.url()), over(transport, faulty)...)
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
			if s.Stopped != 12 || s.Attempts != s.Ready+failed || s.Ready != lostOf(s) || uint64(downs.Load()) != failed+lostOf(s) {
				t.Errorf("round %d: %d calls of OnDown, %+v", round, downs.Load(), s)
			}
			if used := g.budget.used.Load(); used != 0 {
				t.Errorf("round %d: %d bytes of the budget are used", round, used)
			}
		}
	})
}
