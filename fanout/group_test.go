package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func TestABroadcastReachesAllAndComesBack(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		const slots, rounds = 50, 20
		server := newTestServer(t)
		var came [slots]atomic.Int32
		g := begun(t, Options{
			Targets: over(transport, server.url()),
			Size:    slots,
			OnMessage: func(s *Slot, op websock.Opcode, msg []byte) {
				if want := fmt.Sprint("message ", came[s.Number()].Add(1)); string(msg) != want || op != websock.OpText {
					t.Errorf("slot %d: %v %q, want %q", s.Number(), op, msg, want)
				}
			},
		})
		allUp(t, g)
		for i := range rounds {
			if d := g.Broadcast(websock.OpText, fmt.Append(nil, "message ", i+1)); d != (Delivery{Sent: slots}) {
				t.Fatalf("%+v", d)
			}
		}
		for i := range came {
			eventually(t, "all echoes", func() bool { return came[i].Load() == rounds })
		}
		eventually(t, "the counts", func() bool {
			got := g.Stats()
			return got.Traffic.MessagesSent == slots*rounds && got.Traffic.MessagesReceived == slots*rounds
		})
	})
}

func TestSendFindsTheSlotByItsKey(t *testing.T) {
	server := newTestServer(t)
	got := make(chan string, 1)
	g := begun(t, Options{
		Targets:   over(nil, server.url()),
		Size:      3,
		Key:       func(number int) string { return []string{"a", "b", "c"}[number] },
		OnMessage: func(s *Slot, _ websock.Opcode, msg []byte) { got <- s.Key() + string(msg) },
	})
	allUp(t, g)
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

func TestOnConnectComesBeforeEverythingElse(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
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
		g := begun(t, Options{
			Targets: over(transport, server.url()),
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
		allUp(t, g)
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

func TestSlotsComeBack(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		var downs atomic.Int32
		g := begun(t, Options{
			Targets: over(transport, server.url()),
			Size:    20,
			OnDown:  func(*Slot, error, time.Duration) { downs.Add(1) },
		})
		allUp(t, g)
		server.kill()
		eventually(t, "all down", func() bool { return g.Stats().Up == 0 && downs.Load() >= 20 })
		if err := g.Slot(0).Err(); err == nil {
			t.Error("a slot doesn't say why it is down")
		}
		server.start()
		allUp(t, g)
		if s := g.Stats(); s.Lost[websock.CloseAbnormal] != 20 || s.Ready != 40 {
			t.Errorf("%+v", s)
		}
		if err := g.Slot(0).Err(); err != nil {
			t.Error(err)
		}
	})
}

func TestPermanentFailuresStopASlot(t *testing.T) {
	for _, status := range []int{401, 403, 404, 410} {
		var stopped atomic.Int32
		g := begun(t, Options{
			Targets: over(nil, answering(t, status, nil)),
			OnDown: func(s *Slot, err error, next time.Duration) {
				var failed *websock.HandshakeError
				if !errors.As(err, &failed) || failed.Status != status || next >= 0 {
					t.Errorf("%v, %v", err, next)
				}
				stopped.Add(1)
			},
		})
		if err := g.WaitUp(t.Context(), 1); err != ErrDown {
			t.Error(err)
		}
		eventually(t, "OnDown", func() bool { return stopped.Load() == 1 })
		if s := g.Slot(0); s.State() != Stopped || s.Err() == nil || s.SendText(nil) != ErrDown {
			t.Errorf("%v, %v", s.State(), s.Err())
		}
		if got := g.Stats(); got.Failed[FailedStatus] != 1 || got.Attempts != 1 {
			t.Errorf("%+v", got)
		}
	}
}

func TestAnIdleGroupHasNoGoroutines(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there are no event loops on this system")
	}
	const slots = 1000
	server := newTestServer(t)
	allGone := runtime.NumGoroutine()
	g := begun(t, Options{
		Targets:   over(epoll.Loops(1), server.url()),
		Size:      slots,
		Ping:      50 * time.Millisecond,
		OnMessage: func(*Slot, websock.Opcode, []byte) {},
		Pace:      Pace{PerHost: 16},
	})
	allUp(t, g)
	eventually(t, "pings", func() bool { return g.Stats().RoundTrip.Count > slots })
	loops := 1 + runtime.GOMAXPROCS(0) // ours, and the server's
	eventually(t, "few goroutines", func() bool { return runtime.NumGoroutine() <= allGone+loops+2 })
}

func TestStatsCountWhatCompressionSaves(t *testing.T) {
	server := newTestServer(t)
	server.Compression = websock.DefaultCompression
	targets := over(nil, server.url())
	targets[0].Config.Compression = websock.DefaultCompression
	var came atomic.Int32
	g := begun(t, Options{Targets: targets, Size: 3, OnMessage: func(*Slot, websock.Opcode, []byte) { came.Add(1) }})
	allUp(t, g)
	message := bytes.Repeat([]byte("all alike "), 1000)
	g.Broadcast(websock.OpText, message)
	eventually(t, "all echoes", func() bool { return came.Load() == 3 })
	check := func(when string) {
		t.Helper()
		want := uint64(3 * len(message))
		s := g.Stats().Traffic
		if s.BeforeDeflate != want || s.AfterInflate != want || s.AfterDeflate == 0 || s.AfterDeflate > want/10 || s.BeforeInflate == 0 || s.BeforeInflate > want/10 {
			t.Errorf("%s: %+v", when, s)
		}
	}
	eventually(t, "the counts", func() bool { return g.Stats().Traffic.MessagesReceived == 3 })
	check("while the slots are up")
	shutdown(t, g)
	check("afterwards")
}
