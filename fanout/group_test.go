package fanout

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func TestBroadcastsReachAllSlotsInOrder(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots, rounds = 50, 20
		server := newTestServer(t)
		var came [slots]atomic.Int32
		g := startGroup(t, Options{
			Targets: targetsFor(transport, server.url()),
			Size:    slots,
			OnMessage: func(s *Slot, op websock.Opcode, msg []byte) {
				if want := fmt.Sprint("message ", came[s.Number()].Add(1)); string(msg) != want || op != websock.OpText {
					t.Errorf("slot %d: %v %q, want %q", s.Number(), op, msg, want)
				}
			},
		})
		waitAllUp(t, g)
		for i := range rounds {
			if d := g.Broadcast(websock.OpText, fmt.Append(nil, "message ", i+1)); d != (Delivery{Sent: slots}) {
				t.Fatalf("%+v", d)
			}
		}
		for i := range came {
			waitUntil(t, "all echoes", func() bool { return came[i].Load() == rounds })
		}
		waitUntil(t, "the counts", func() bool {
			got := g.Stats()
			return got.Traffic.MessagesSent == slots*rounds && got.Traffic.MessagesReceived == slots*rounds
		})
	})
}

func TestSendFindsTheSlotByItsKey(t *testing.T) {
	server := newTestServer(t)
	got := make(chan string, 1)
	g := startGroup(t, Options{
		Targets:   targetsFor(nil, server.url()),
		Size:      3,
		Key:       func(number int) string { return []string{"a", "b", "c"}[number] },
		OnMessage: func(s *Slot, _ websock.Opcode, msg []byte) { got <- s.Key() + string(msg) },
	})
	waitAllUp(t, g)
	if err := g.Send("b", websock.OpText, []byte("!")); err != nil {
		t.Fatal(err)
	}
	if got := <-got; got != "b!" {
		t.Errorf("%q", got)
	}
	if err := g.Send("d", websock.OpText, nil); err != ErrUnknownKey {
		t.Error(err)
	}
}

func TestFindKnowsNumbersAsKeys(t *testing.T) {
	g := startGroup(t, Options{Targets: URLs("ws://127.0.0.1:1/"), Size: 12, Backoff: Backoff{Base: time.Hour}})
	for key, want := range map[string]int{"0": 0, "11": 11, "12": -1, "-1": -1, "01": -1, "+1": -1, "x": -1, "": -1} {
		s := g.Find(key)
		if (s != nil) != (want >= 0) || s != nil && s.Number() != want {
			t.Errorf("%q", key)
		}
	}
	n := 0
	for s := range g.Slots() {
		if s.Number() != n || s != g.Slot(n) || s.Key() != g.Find(s.Key()).Key() {
			t.Error(n)
		}
		if n++; n == 5 {
			break
		}
	}
}

func TestLostSlotsAreDialedAgain(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		var downs atomic.Int32
		g := startGroup(t, Options{
			Targets: targetsFor(transport, server.url()),
			Size:    20,
			OnDown:  func(*Slot, error, time.Duration) { downs.Add(1) },
		})
		waitAllUp(t, g)
		server.kill()
		waitUntil(t, "all down", func() bool { return g.Stats().Up == 0 && downs.Load() >= 20 })
		if err := g.Slot(0).Err(); err == nil {
			t.Error("a slot doesn't say why it is down")
		}
		server.start()
		waitAllUp(t, g)
		if s := g.Stats(); s.Lost[websock.CloseAbnormal] != 20 || s.Ready != 40 {
			t.Errorf("%+v", s)
		}
		if err := g.Slot(0).Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestABroadcastOverTLS(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots, rounds = 10, 10
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			websock.Accept(w, r, &websock.AcceptOptions{Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				c.SendFrame(op, true, msg)
			}, nil)})
		}))
		t.Cleanup(server.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		targets := targetsFor(transport, "wss"+strings.TrimPrefix(server.URL, "https"))
		targets[0].Config.TLS = &tls.Config{RootCAs: roots}
		var came atomic.Int32
		g := startGroup(t, Options{
			Targets:   targets,
			Size:      slots,
			OnMessage: func(*Slot, websock.Opcode, []byte) { came.Add(1) },
		})
		waitAllUp(t, g)
		for range rounds {
			if d := g.Broadcast(websock.OpBinary, make([]byte, 1000)); d.Sent != slots {
				t.Errorf("%+v", d)
			}
		}
		waitUntil(t, "all echoes", func() bool { return came.Load() == slots*rounds })
	})
}

func TestAnIdleGroupHasNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are no event loops on this system")
	}
	const slots = 1000
	server := newTestServer(t)
	allGone := runtime.NumGoroutine()
	g := startGroup(t, Options{
		Targets:   targetsFor(epoll.Loops(1), server.url()),
		Size:      slots,
		Ping:      50 * time.Millisecond,
		OnMessage: func(*Slot, websock.Opcode, []byte) {},
		Pace:      Pace{PerHost: 16},
	})
	waitAllUp(t, g)
	waitUntil(t, "pings", func() bool { return g.Stats().RoundTrip.Count > slots })
	loops := 1 + runtime.GOMAXPROCS(0) // the Group's and the server's
	waitUntil(t, "few goroutines", func() bool { return runtime.NumGoroutine() <= allGone+loops+2 })
}

func TestAGroupIsCollectedAfterShutdown(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		freed := make(chan struct{})
		func() {
			g, err := Start(Options{
				Targets:   append(targetsFor(transport, server.url()), URLs("ws://127.0.0.1:1/")...),
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
		waitUntil(t, "the Group is freed", func() bool {
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

func TestConnectionsAreLogged(t *testing.T) {
	var mu sync.Mutex
	var text strings.Builder
	logger := slog.New(slog.NewTextHandler(lockedWriter{&mu, &text}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	server := newTestServer(t)
	refusing := statusServer(t, 403, nil)
	g := startGroup(t, Options{
		Targets: append(targetsFor(nil, server.url()), targetsFor(nil, refusing)...),
		Key:     func(number int) string { return []string{"good", "bad"}[number] },
		Logger:  logger,
	})
	if err := g.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	shutdown(t, g)
	mu.Lock()
	defer mu.Unlock()
	for _, want := range []string{
		`level=DEBUG msg=connected slot=good`,
		`level=WARN msg="can't connect; the slot has stopped" slot=bad error="websock: handshake with ` + strings.TrimPrefix(refusing, "ws://") + `: the server declines (HTTP status 403)"` + "\n",
		`level=DEBUG msg="connection lost" slot=good`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
}

func TestSlotsAreCountedByState(t *testing.T) {
	s := newTestServer(t)
	g := startGroup(t, Options{Targets: URLs(s.url()), Size: 3})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := g.WaitUp(ctx, 3); err != nil {
		t.Fatal(err)
	}
	g.Slot(0).Remove()
	if up, stopped, none := g.Count(Up), g.Count(Stopped), g.Count(states); up != 2 || stopped != 0 || none != 0 {
		t.Errorf("2 slots are up and one was removed; counted are %d up, %d stopped and %d in no state", up, stopped, none)
	}
}
