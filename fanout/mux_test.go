package fanout

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// streamSlots returns how many slots the tests of many streams have.
func streamSlots() int {
	if testing.Short() || race.Enabled {
		return 1000
	}
	return 10_000
}

func TestSlotsOfAMuxComeBackAfterTheServerWasKilled(t *testing.T) {
	slots := streamSlots()
	server := newTestServer(t)
	var subscribed atomic.Int64
	server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) { subscribed.Add(1) }
	m := newMux(t)
	g := startGroup(t, Options{
		Targets: targetsFor(muxed{epoll.Transport(), m}, server.url()),
		Size:    slots,
		Backoff: Backoff{Base: 500 * time.Millisecond, Max: time.Second}, // attempts that fail would fill the processors
		OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
			return c.SendText([]byte("subscribe " + s.Key()))
		},
	})
	for round := range 3 {
		waitAllUp(t, g)
		waitUntil(t, "all subscribed", func() bool { return subscribed.Load() >= int64(slots) })
		if n := m.Stats(); n.Conns != slots/100 || n.Streams != slots {
			t.Errorf("round %d: %+v", round, n)
		}
		waitUntil(t, "the server knows what has ended", func() bool { return len(server.all()) == slots })
		if round == 2 {
			break
		}
		server.kill()
		waitUntil(t, "all lost", func() bool { return totalLost(g.Stats()) == g.Stats().Ready })
		subscribed.Store(0)
		server.start()
	}
	checkCounts(t, g.Stats(), slots)
}

func TestSlotsOfALostConnectionComeBackAtThePace(t *testing.T) {
	const slots, rate, burst = 100, 200, 5
	server := newTestServer(t)
	g := startGroup(t, Options{
		Targets: targetsFor(muxed{epoll.Transport(), newMux(t)}, server.url()),
		Size:    slots,
		Pace:    Pace{Rate: rate, Burst: burst},
	})
	waitAllUp(t, g)
	server.takeArrivals()
	since := time.Now()
	server.cutStreams()
	waitUntil(t, "all lost", func() bool { return totalLost(g.Stats()) == slots })
	waitAllUp(t, g)
	arrivals := server.takeArrivals()
	if len(arrivals) != slots {
		t.Errorf("%d arrivals", len(arrivals))
	}
	checkPace(t, since, arrivals, rate, burst)
	s := g.Stats()
	checkCounts(t, s, slots)
	if len(s.Failed) > 0 || s.Lost[websock.CloseAbnormal] != slots || s.Mux.Conns != 1 {
		t.Errorf("%+v", s)
	}
}

func TestIdleSlotsOfAMuxHaveNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are no event loops on this system")
	}
	slots := streamSlots()
	server := newTestServer(t)
	var pings pingCounter
	m := newMux(t)
	m.Trace = pings.trace
	allGone := runtime.NumGoroutine()
	g := startGroup(t, Options{
		Targets:   targetsFor(muxed{epoll.Loops(1), m}, server.url()),
		Size:      slots,
		Ping:      100 * time.Millisecond,
		OnMessage: func(*Slot, websock.Opcode, []byte) {},
	})
	waitAllUp(t, g)
	waitUntil(t, "pings", func() bool { return pings.sent.Load() > int64(slots/100) })
	loops := 1 + runtime.GOMAXPROCS(0) // the Group's and the server's
	conns := slots / 100               // net/http has a goroutine for each, on the server's side
	waitUntil(t, "few goroutines", func() bool { return runtime.NumGoroutine() <= allGone+loops+conns+2 })
}

// All slots of a connection share one PING, and none sends one of its own.
func TestOnePingKeepsAllSlotsOfAConnectionAlive(t *testing.T) {
	const slots = 50
	server := newTestServer(t)
	var pings pingCounter
	m := newMux(t)
	m.Trace = pings.trace
	g := startGroup(t, Options{
		Targets: targetsFor(muxed{epoll.Transport(), m}, server.url()),
		Size:    slots,
		Ping:    20 * time.Millisecond,
	})
	waitAllUp(t, g)
	waitUntil(t, "pings", func() bool { return pings.sent.Load() >= 5 })
	s := g.Stats()
	if s.PingsSent != 0 || s.Traffic.FramesSent != 0 || s.Up != slots || s.RoundTrip.Count != 0 {
		t.Errorf("%+v", s)
	}
}

func TestSlotsOfASilentConnectionAreLost(t *testing.T) {
	const slots = 20
	for name, o := range map[string]Options{
		"one PING":   {},
		"heartbeats": {PingMessage: []byte("alive?")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quiet := make(chan struct{})
				var pings pingCounter
				m := newMux(t)
				m.Trace = pings.trace
				lost := make(chan error, slots)
				o.Targets = targetsFor(muxed{std.Transport(), m}, "ws://a/")
				o.Targets[0].Config.NetDial = func(context.Context, string, string) (net.Conn, error) {
					client, server := net.Pipe()
					go func() {
						defer server.Close()
						acceptStreams(server, quiet)
					}()
					return client, nil
				}
				o.Size, o.Ping, o.PingTimeout = slots, 100*time.Millisecond, 6*time.Second
				o.Backoff = Backoff{Base: time.Hour}
				o.OnDown = func(_ *Slot, err error, _ time.Duration) { lost <- err }
				g, shutDown := startInBubble(t, o)
				defer shutDown()
				waitAllUp(t, g)
				close(quiet)
				for range slots {
					if err := <-lost; !errors.Is(err, websock.ErrIdle) || ReasonOf(err) != ConnectionLost {
						t.Error(err)
					}
				}
				synctest.Wait()
				s := g.Stats()
				if heartbeats := o.PingMessage != nil; s.PingTimeouts != slots || heartbeats != (s.PingsSent > 0) || heartbeats == (pings.sent.Load() > 0) {
					t.Errorf("%d PING frames, %+v", pings.sent.Load(), s)
				}
			})
		})
	}
}

func TestKeepAliveOfATargetTakesThePlaceOfPing(t *testing.T) {
	server := newTestServer(t)
	var pings pingCounter
	m := newMux(t)
	m.Trace = pings.trace
	targets := targetsFor(muxed{epoll.Transport(), m}, server.url())
	targets[0].Config.KeepAlive.Ping = 20 * time.Millisecond
	g := startGroup(t, Options{Targets: targets, Ping: time.Hour})
	waitAllUp(t, g)
	waitUntil(t, "pings", func() bool { return pings.sent.Load() >= 3 })
}

func TestWhatGoesToManySlotsIsWrittenOncePerConnection(t *testing.T) {
	const slots, streams = 100, 25
	const conns = slots / streams
	for name, end := range map[string]func(t *testing.T, g *Group){
		"Shutdown": func(t *testing.T, g *Group) { shutdown(t, g) },
		"Resize": func(t *testing.T, g *Group) {
			if err := g.Resize(0); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var received, writes atomic.Int64
				m := newMux(t)
				m.StreamsPerConn = streams
				targets := targetsFor(muxed{std.Transport(), m}, "ws://a/")
				targets[0].Config.NetDial = func(context.Context, string, string) (net.Conn, error) {
					conn := streamPipe(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) { received.Add(1) }, nil))
					return countingConn{conn, &writes}, nil
				}
				g, shutDown := startInBubble(t, Options{Targets: targets, Size: slots, Ping: -1, Backoff: Backoff{Base: time.Hour}})
				defer shutDown()
				waitAllUp(t, g)
				// writesOf waits until nothing is under way on any connection, before f and after it.
				writesOf := func(f func()) int64 {
					synctest.Wait()
					before := writes.Load()
					f()
					synctest.Wait()
					return writes.Load() - before
				}
				for i := range 3 {
					n := writesOf(func() {
						if d := g.Broadcast(websock.OpText, []byte("hello")); d.Sent != slots {
							t.Errorf("%+v", d)
						}
					})
					if n != conns || received.Load() != int64(i+1)*slots {
						t.Errorf("%d writes on %d connections, %d messages are received", n, conns, received.Load())
					}
				}
				n := writesOf(func() { end(t, g) })
				if lost := totalLost(g.Stats()); n != conns || lost != slots {
					t.Errorf("%d writes on %d connections, %d of %d slots are closed", n, conns, lost, slots)
				}
			})
		})
	}
}

func TestOnUnsentIsCalledWhenABroadcastHasLeft(t *testing.T) {
	server := newTestServer(t)
	echoes := make(chan string, 10)
	targets := append(targetsFor(muxed{epoll.Transport(), newMux(t)}, server.url()), targetsFor(nil, "ws://127.0.0.1:1/")...)
	g := startGroup(t, Options{
		Targets:   targets,
		Backoff:   Backoff{Base: time.Hour},
		OnMessage: func(_ *Slot, _ websock.Opcode, msg []byte) { echoes <- string(msg) },
		OnUnsent: func(s *Slot, _ int, err error) {
			s.Group().Slot(0).SendText([]byte("sent by OnUnsent"))
			for _, want := range []string{"hello", "sent by OnUnsent"} {
				select {
				case got := <-echoes:
					if got != want {
						t.Errorf("%q, want %q", got, want)
					}
				case <-time.After(patience):
					t.Error("what was sent is held back")
				}
			}
		},
	})
	if err := g.WaitUp(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if d := g.Broadcast(websock.OpText, []byte("hello")); d.Sent != 1 || d.Down != 1 {
		t.Errorf("%+v", d)
	}
}

func TestBroadcastsUseSeveralMuxes(t *testing.T) {
	const slots = 12
	server := newTestServer(t)
	var received atomic.Int64
	server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) { received.Add(1) }
	muxes := []*websock.Mux{newMux(t), newMux(t), nil}
	g := startGroup(t, Options{
		Size: slots,
		Choose: func(s *Slot) Target {
			target := targetsFor(epoll.Transport(), server.url())[0]
			target.Config.Mux = muxes[s.Number()%len(muxes)]
			return target
		},
	})
	waitAllUp(t, g)
	g.Broadcast(websock.OpText, []byte("hello"))
	waitUntil(t, "all receive", func() bool { return received.Load() == slots })
	if s := g.Stats().Mux; s.Conns != 2 || s.Streams != slots*2/3 || len(s.Hosts) != 2 {
		t.Errorf("%+v", s)
	}
}

func TestPerHostCountsTheConnectionsThatAreDialled(t *testing.T) {
	const slots, streams = 60, 20
	server := newTestServer(t)
	var dialling, most, asking atomic.Int64
	together := make(chan struct{})
	enough := sync.OnceFunc(func() { close(together) })
	server.OnRequest = func(r *http.Request) error {
		switch n := asking.Add(1); {
		case n == 1: // it is alone until it is known that its connection can be shared
			return nil
		case n > streams/2:
			enough()
		}
		select {
		case <-together: // no other succeeds before so many streams are being opened
			return nil
		case <-r.Context().Done():
			asking.Add(-1)
			return r.Context().Err()
		}
	}
	m := newMux(t)
	m.StreamsPerConn = streams
	targets := targetsFor(muxed{epoll.Transport(), m}, server.url())
	targets[0].Config.NetDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		n := dialling.Add(1)
		defer dialling.Add(-1)
		most.Store(max(most.Load(), n))
		time.Sleep(20 * time.Millisecond)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	g := startGroup(t, Options{Targets: targets, Size: slots, Pace: Pace{PerHost: 1}})
	waitAllUp(t, g)
	if most.Load() != 1 {
		t.Errorf("%d connections were dialled at a time", most.Load())
	}
	if n := m.Stats().Conns; n != slots/streams {
		t.Errorf("%d connections", n)
	}
}

func TestPerHostCountsAttemptsOverHTTP1OfAMux(t *testing.T) {
	const slots = 20
	server := newTestServer(t)
	var asking, most atomic.Int64
	server.OnRequest = func(*http.Request) error {
		n := asking.Add(1)
		defer asking.Add(-1)
		most.Store(max(most.Load(), n))
		time.Sleep(5 * time.Millisecond)
		return nil
	}
	target := targetsFor(epoll.Transport(), server.url())[0]
	target.Config.Mux = &websock.Mux{} // a ws URL is HTTP/1.1 for it
	g := startGroup(t, Options{Targets: []Target{target}, Size: slots, Pace: Pace{PerHost: 2}})
	waitAllUp(t, g)
	if most.Load() > 2 {
		t.Errorf("%d handshakes were under way", most.Load())
	}
}

func TestAGroupFillsAMuxWhoseServerAllowsFewStreams(t *testing.T) {
	const slots = 100
	server := newTestServer(t)
	server.kill()
	server.MaxStreams = 7
	server.start()
	m := newMux(t)
	g := startGroup(t, Options{Targets: targetsFor(muxed{epoll.Transport(), m}, server.url()), Size: slots})
	waitAllUp(t, g)
	if n := m.Stats().Conns; n < slots/7+1 || n > slots/7*2 {
		t.Errorf("%d connections", n)
	}
	checkCounts(t, g.Stats(), slots)
}

func TestSlotsThatAFullMuxHasNoRoomFor(t *testing.T) {
	const slots, room = 15, 10
	server := newTestServer(t)
	m := newMux(t)
	m.MaxConns, m.StreamsPerConn = 2, room/2
	targets := targetsFor(muxed{epoll.Transport(), m}, server.url())
	targets[0].Config.Timeout = 50 * time.Millisecond
	var full atomic.Int64
	g := startGroup(t, Options{
		Targets: targets,
		Size:    slots,
		OnDown: func(_ *Slot, err error, next time.Duration) {
			if FailureOf(err) == FailedFull && next >= 0 {
				full.Add(1)
			}
		},
	})
	if err := g.WaitUp(t.Context(), room); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "attempts fail", func() bool { return full.Load() >= slots-room })
	if s := g.Stats(); s.Up != room || s.Failed[FailedFull] == 0 || s.Mux.Conns != 2 {
		t.Errorf("%+v", s)
	}
	ready := g.Stats().Ready
	server.cutStreams()
	waitUntil(t, "others take their places", func() bool { s := g.Stats(); return s.Up == room && s.Ready > ready })
}

func TestShutdownLeavesTheMuxToItsOwner(t *testing.T) {
	const slots = 10
	server := newTestServer(t)
	m := newMux(t)
	targets := targetsFor(muxed{epoll.Transport(), m}, server.url())
	g := startGroup(t, Options{Targets: targets, Size: slots})
	waitAllUp(t, g)
	shutdown(t, g)
	waitUntil(t, "the streams have ended", func() bool { return m.Stats().Streams == 0 })
	if s := g.Stats(); s.Lost[websock.CloseGoingAway] != slots || s.Mux.Conns != 1 {
		t.Errorf("%+v", s)
	}
	c, err := websock.Dial(t.Context(), server.url(), &targets[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if n := m.Stats().Conns; n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestAGroupWhoseMuxIsClosedTriesAgain(t *testing.T) {
	server := newTestServer(t)
	m := newMux(t)
	failed := make(chan error, 1000)
	g := startGroup(t, Options{
		Targets: targetsFor(muxed{epoll.Transport(), m}, server.url()),
		Size:    3,
		Backoff: Backoff{Max: time.Minute},
		OnDown:  func(_ *Slot, err error, _ time.Duration) { failed <- err },
	})
	waitAllUp(t, g)
	m.Close()
	for range 6 { // each slot is lost, and then an attempt fails
		if err := <-failed; !errors.Is(err, websock.ErrClosed) {
			t.Error(err)
		}
	}
}

func TestFunctionsOfDialingAreNotCalledAfterTheAttempt(t *testing.T) {
	calls := 0
	d := &dialTrace{}
	w := d.wrap(&websock.Trace{
		DialStart:  func(string, string) { calls++ },
		DialDone:   func(string, string, net.Conn, error) { calls++ },
		ProxyStart: func(*url.URL, string) { calls++ },
		ProxyDone:  func(*url.URL, string, error) { calls++ },
		TLSStart:   func(string) { calls++ },
		TLSDone:    func(string, tls.ConnectionState, error) { calls++ },
	})
	dial := func() {
		w.DialStart("", "")
		w.DialDone("", "", nil, nil)
		w.ProxyStart(nil, "")
		w.ProxyDone(nil, "", nil)
		w.TLSStart("")
		w.TLSDone("", tls.ConnectionState{}, nil)
	}
	if dial(); calls != 6 {
		t.Errorf("%d calls", calls)
	}
	d.end(nil)
	if dial(); calls != 6 {
		t.Errorf("%d calls after the end", calls-6)
	}
}

func TestAPanicOfATraceEndsTheAttemptThatDials(t *testing.T) {
	server := newTestServer(t)
	down := make(chan error, 1)
	var recovered, panicked atomic.Int64
	g := startGroup(t, Options{
		Targets: targetsFor(muxed{epoll.Transport(), newMux(t)}, server.url()),
		Trace: func(*Slot) *websock.Trace {
			return &websock.Trace{DialStart: func(string, string) {
				if panicked.Add(1) == 1 {
					panic("oops")
				}
			}}
		},
		Recover: func(*Slot, any) { recovered.Add(1) },
		OnDown:  func(_ *Slot, err error, _ time.Duration) { down <- err },
	})
	var failed *websock.HandlerError
	if err := <-down; !errors.As(err, &failed) || failed.Value != "oops" {
		t.Error(err)
	}
	waitAllUp(t, g)
	if recovered.Load() != 1 {
		t.Errorf("recovered %d times", recovered.Load())
	}
	shutdown(t, g)
	<-down
}

func TestShutdownEndsADialThatSlotsShare(t *testing.T) {
	const slots = 20
	targets := targetsFor(muxed{epoll.Transport(), newMux(t)}, "ws://127.0.0.1:1/")
	var dialling atomic.Int64
	targets[0].Config.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialling.Add(1)
		defer dialling.Add(-1)
		return dialSilent(ctx)
	}
	g := startGroup(t, Options{Targets: targets, Size: slots})
	waitUntil(t, "all wait for one dial", func() bool { return g.Stats().Connecting == slots && dialling.Load() == 1 })
	shutdown(t, g)
	if s := g.Stats(); s.Failed[FailedShutdown] != slots {
		t.Errorf("%+v", s)
	}
	waitUntil(t, "the dial has ended", func() bool { return dialling.Load() == 0 })
}

// The peer of some slots takes nothing any more: their whole connection is blocked.
func TestABlockedConnectionHoldsUpNoOther(t *testing.T) {
	const slots, rounds, size = 40, 30, 16 << 10
	server := newTestServer(t)
	blocked := silentStreamServer(t)
	var received atomic.Int64
	server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) { received.Add(1) }
	m := newMux(t)
	targets := append(targetsFor(muxed{epoll.Transport(), m}, server.url()), targetsFor(muxed{epoll.Transport(), m}, blocked)...)
	for i := range targets {
		targets[i].Config.Limits.SendQueue = 64 << 10
		targets[i].Config.Limits.CloseTimeout = 100 * time.Millisecond
	}
	g := startGroup(t, Options{Targets: targets, Size: slots, Ping: -1})
	waitAllUp(t, g)
	refused := 0
	for i := range rounds {
		d := g.Broadcast(websock.OpBinary, make([]byte, size))
		refused += d.Refused
		if d.Sent < slots/2 {
			t.Errorf("%+v", d)
		}
		waitUntil(t, "all others receive", func() bool { return received.Load() == int64(i+1)*slots/2 })
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	held := 0
	for s := range g.Slots() {
		held += s.Conn().Queued()
	}
	if held > slots/2*(64<<10+size+maxFrameHeader) {
		t.Errorf("%d bytes are held", held)
	}
}

func TestSlotsOfOneConnectionBroadcastWithinOnMessage(t *testing.T) {
	const slots = 20
	server := newTestServer(t)
	var received atomic.Int64
	g := startGroup(t, Options{
		Targets: targetsFor(muxed{epoll.Transport(), newMux(t)}, server.url()),
		Size:    slots,
		OnMessage: func(s *Slot, op websock.Opcode, msg []byte) {
			if received.Add(1); string(msg) == "all" {
				s.Group().Broadcast(op, []byte("one"))
			}
		},
	})
	waitAllUp(t, g)
	g.Broadcast(websock.OpText, []byte("all"))
	waitUntil(t, "all echoes", func() bool { return received.Load() == slots+slots*slots })
}

// Streams are reset and closed all the time, and now and then all connections are lost.
func TestCountsAddUpOverAMuxWhateverTheServerDoes(t *testing.T) {
	const slots = 100
	losses := uint64(streamSlots() / 10)
	for name, carrier := range map[string]websock.Transport{"epoll": epoll.Transport(), "std": std.Transport()} {
		t.Run(name, func(t *testing.T) {
			server := newTestServer(t)
			var calm atomic.Bool
			server.OnMessage = func(c *websock.Conn, op websock.Opcode, msg []byte) {
				switch n := rand.N(100); {
				case calm.Load() || n > 1:
					c.SendFrame(op, true, msg)
				case n == 0:
					c.Abort(nil)
				default:
					c.CloseWith(websock.CloseNormal, "")
				}
			}
			m := newMux(t)
			m.StreamsPerConn, m.MaxConns = 20, 7
			g := startGroup(t, Options{
				Targets: targetsFor(muxed{carrier, m}, server.url()),
				Size:    slots,
				OnConnect: func(_ context.Context, _ *Slot, c *websock.Conn) error {
					if err := c.SendText([]byte("log in")); err != nil {
						return err
					}
					_, _, err := c.RecvMessage(nil)
					return err
				},
				OnMessage: func(*Slot, websock.Opcode, []byte) {},
			})
			broadcasts := 0
			waitUntil(t, "many are lost", func() bool {
				if broadcasts++; broadcasts%50 == 0 {
					server.cutStreams()
				}
				g.Broadcast(websock.OpBinary, make([]byte, rand.N(3000)))
				return totalLost(g.Stats()) > losses
			})
			calm.Store(true)
			waitUntil(t, "all are back, and the counts add up", func() bool { return addUp(g.Stats(), slots) && len(server.all()) == slots })
			waitUntil(t, "only the slots have streams", func() bool { return m.Stats().Streams == slots })
		})
	}
}
