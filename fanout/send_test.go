package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func TestPeersThatDoNotReadDoNotDelayOthers(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots, stalled, rounds, size = 300, 12, 60, 16 << 10
		server := newTestServer(t)
		var received [rounds]atomic.Int32
		var stalls atomic.Int32
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, msg []byte) {
			if string(msg) == "stall" {
				c.Pause()
				stalls.Add(1)
				return
			}
			received[msg[0]].Add(1)
		}
		var mu sync.Mutex
		refused := map[*Slot]error{}
		targets := targetsFor(transport, server.url())
		targets[0].Config.NetDial = dialSmallBuffer
		targets[0].Config.Limits.CloseTimeout = 100 * time.Millisecond
		g := startGroup(t, Options{
			Targets: targets,
			Size:    slots,
			Ping:    -1,
			Pace:    Pace{PerHost: 8},
			OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
				if s.Number()%(slots/stalled) == 0 {
					return c.SendText([]byte("stall"))
				}
				return nil
			},
			OnUnsent: func(s *Slot, _ int, err error) {
				mu.Lock()
				defer mu.Unlock()
				if refused[s] == nil {
					refused[s] = err
				}
			},
		})
		waitAllUp(t, g)
		waitUntil(t, "the stalls", func() bool { return stalls.Load() == stalled })
		refusals := 0
		for i := range rounds {
			d := g.Broadcast(websock.OpBinary, bytes.Repeat([]byte{byte(i)}, size))
			waitUntil(t, "all others receive", func() bool { return received[i].Load() >= slots-stalled })
			if d.Sent+d.Refused != slots || d.Refused > stalled {
				t.Fatalf("%+v", d)
			}
			refusals += d.Refused
		}
		if refusals == 0 || uint64(refusals) != g.Stats().BroadcastsRefused {
			t.Errorf("%d were refused, and %d counted", refusals, g.Stats().BroadcastsRefused)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(refused) != stalled {
			t.Errorf("%d slots have refused", len(refused))
		}
		for s, err := range refused {
			var limit *websock.LimitError
			if !errors.As(err, &limit) || limit.Limit != "SendQueue" || s.Number()%(slots/stalled) != 0 {
				t.Errorf("slot %d: %v", s.Number(), err)
			}
			if s.State() != Up {
				t.Errorf("slot %d is %v: %v", s.Number(), s.State(), s.Err())
			}
		}
		// Shutdown would wait for these until CloseTimeout.
		for _, c := range server.all() {
			c.Abort(nil)
		}
	})
}

// Peers that don't read block workers. Once the pool has noticed that, no other slot waits for them.
func TestBroadcastsDoNotWaitForBlockedWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slots = 60 // half of which have peers that don't read
		stop := make(chan struct{})
		var mu sync.Mutex
		var arrivals []time.Time
		d := newFakeDialer(func(_ context.Context, _ string, n int) (net.Conn, error) {
			if n%2 == 0 {
				return servePipe(func(net.Conn) { <-stop }), nil
			}
			return servePipe(func(conn net.Conn) {
				eachFrame(conn, func(websock.Header, []byte) {
					mu.Lock()
					defer mu.Unlock()
					arrivals = append(arrivals, time.Now())
				})
			}), nil
		})
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: slots, Ping: -1})
		defer shutDown()
		defer close(stop)
		if err := g.WaitUp(t.Context(), slots); err != nil {
			t.Fatal(err)
		}
		for round := range 5 {
			arrivals = nil
			began := time.Now()
			g.Broadcast(websock.OpText, []byte("news"))
			time.Sleep(time.Second)
			synctest.Wait()
			if len(arrivals) != slots/2 {
				t.Fatalf("round %d: %d arrivals", round, len(arrivals))
			}
			last := slices.MaxFunc(arrivals, time.Time.Compare)
			if learning := round < 2; last != began && !learning {
				t.Errorf("round %d: the last arrival was %v late", round, last.Sub(began))
			}
		}
	})
}

func TestKeptMessagesAreSentBeforeNewerOnes(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		var mu sync.Mutex
		var got []string
		server.OnMessage = func(_ *websock.Conn, _ websock.Opcode, msg []byte) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, string(msg))
		}
		server.kill()
		var unsent atomic.Int32
		g := startGroup(t, Options{
			Targets:    targetsFor(transport, server.url()),
			SendBuffer: 5 * (messageCost + 1),
			OnConnect: func(_ context.Context, _ *Slot, c *websock.Conn) error {
				return c.SendText([]byte("hello"))
			},
			OnUnsent: func(_ *Slot, n int, _ error) { unsent.Add(int32(n)) },
		})
		s := g.Slot(0)
		for i := range 5 {
			if err := s.SendText(fmt.Append(nil, i)); err != nil {
				t.Fatal(err)
			}
		}
		var limit *websock.LimitError
		if err := s.SendText([]byte("5")); !errors.As(err, &limit) || limit.Limit != "SendBuffer" || limit.Max != 5*(messageCost+1) {
			t.Error(err)
		}
		if d := g.Broadcast(websock.OpText, []byte("6")); d != (Delivery{Refused: 1}) || unsent.Load() != 1 {
			t.Errorf("%+v, %d reported", d, unsent.Load())
		}
		server.start()
		waitAllUp(t, g)
		if err := s.SendText([]byte("after")); err != nil {
			t.Error(err)
		}
		want := []string{"hello", "0", "1", "2", "3", "4", "after"}
		waitUntil(t, "all messages", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got) >= len(want)
		})
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

func TestABroadcastToSlotsThatAreDownIsKeptOrRefused(t *testing.T) {
	server := newTestServer(t)
	server.kill()
	for buffer, want := range map[int]Delivery{0: {Down: 3}, 1000: {Kept: 3}} {
		g := startGroup(t, Options{Targets: targetsFor(nil, server.url()), Size: 3, SendBuffer: buffer})
		if d := g.Broadcast(websock.OpText, []byte("x")); d != want {
			t.Errorf("%+v, want %+v", d, want)
		}
	}
}

func TestMessagesKeptInVainAreReported(t *testing.T) {
	url := statusServer(t, http.StatusForbidden, nil)
	let := make(chan struct{})
	type report struct {
		n   int
		err error
	}
	unsent := make(chan report, 1)
	g := startGroup(t, Options{
		Targets:    targetsFor(nil, url),
		SendBuffer: 1000,
		Prepare: func(ctx context.Context, _ *Slot, _ *Target) error {
			<-let
			return nil
		},
		OnUnsent: func(_ *Slot, n int, err error) { unsent <- report{n, err} },
	})
	for range 3 {
		if err := g.Send("0", websock.OpBinary, nil); err != nil {
			t.Fatal(err)
		}
	}
	close(let)
	got := <-unsent
	var failed *websock.HandshakeError
	if got.n != 3 || !errors.As(got.err, &failed) || failed.Status != http.StatusForbidden {
		t.Errorf("%+v", got)
	}
	if n := g.Stats().Dropped; n != 3 {
		t.Errorf("%d counted", n)
	}
	if err := g.Send("0", websock.OpBinary, nil); err != ErrDown {
		t.Error("a slot that has stopped:", err)
	}
}

func TestInvalidMessagesAreRefused(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		g := startGroup(t, Options{Targets: targetsFor(transport, server.url())})
		s := g.Slot(0)
		waitAllUp(t, g)
		if err := s.SendText([]byte("\xff")); err != websock.ErrInvalidUTF8 {
			t.Error(err)
		}
		for _, op := range []websock.Opcode{websock.OpPing, websock.OpClose, websock.OpContinuation, websock.OpNone} {
			if err := s.Send(op, nil); err != websock.ErrFrameOrder {
				t.Error(op, err)
			}
		}
		if d := g.Broadcast(websock.OpText, []byte("\xff")); d != (Delivery{Refused: 1}) {
			t.Errorf("%+v", d)
		}
		if d := g.Broadcast(websock.OpText, nil); d != (Delivery{Sent: 1}) {
			t.Errorf("%+v", d)
		}
	})
}

func TestABroadcastAllocatesNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector makes pools drop things")
	}
	server := newTestServer(t)
	server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) {}
	g := startGroup(t, Options{Targets: targetsFor(epoll.Transport(), server.url()), Size: 10, Ping: -1})
	waitAllUp(t, g)
	if !g.Slot(0).Conn().Queues() {
		t.Skip("there are no event loops on this system")
	}
	msg := bytes.Repeat([]byte("x"), 125)
	g.Slot(1).Subscribe("news")
	g.Slot(2).Subscribe("news")
	even := func(s *Slot) bool { return s.Number()%2 == 0 }
	for slots, send := range map[int]func() Delivery{
		10: func() Delivery { return g.Broadcast(websock.OpText, msg) },
		5:  func() Delivery { return g.BroadcastTo(websock.OpText, msg, even) },
		2:  func() Delivery { return g.Publish("news", websock.OpText, msg) },
	} {
		var d Delivery
		if n := testing.AllocsPerRun(100, func() { d = send() }); n != 0 || d != (Delivery{Sent: slots}) {
			t.Errorf("%v allocations, %+v", n, d)
		}
	}
	if n := testing.AllocsPerRun(100, func() { g.Slot(0).SendText(msg) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Compressing this message takes milliseconds, each time.
func TestABroadcastIsCompressedOnce(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		for _, takeover := range []bool{false, true} {
			const slots = 10
			server := newTestServer(t)
			server.Compression = websock.DefaultCompression
			got := make(chan bool, 2*slots)
			message := make([]byte, 256<<10)
			for i := range message {
				message[i] = byte(rand.N(16)) + 'a'
			}
			server.OnMessage = func(_ *websock.Conn, op websock.Opcode, msg []byte) {
				got <- op == websock.OpText && bytes.Equal(msg, message)
			}
			targets := targetsFor(transport, server.url())
			targets[0].Config.Compression = websock.DefaultCompression
			targets[0].Config.Compression.SendTakeover = takeover
			g := startGroup(t, Options{Targets: targets, Size: slots, Ping: -1})
			waitAllUp(t, g)
			b := &broadcast{group: g, op: websock.OpText, payload: message}
			if b.sendAll(slices.Collect(g.Slots())); b.delivery.Sent != slots {
				t.Fatalf("%+v", b.delivery)
			}
			for range slots {
				if !<-got {
					t.Error("another message arrived")
				}
			}
			if prepared := b.shared != nil && b.shared.prepared != nil; prepared == takeover {
				t.Errorf("takeover %v: prepared for all: %v", takeover, prepared)
			}
			traffic := func() websock.Stats { return g.Stats().Traffic }
			waitUntil(t, "the counts", func() bool { return traffic().MessagesSent == slots })
			if s := traffic(); s.BeforeDeflate != slots*uint64(len(message)) || s.AfterDeflate > s.BeforeDeflate*3/4 {
				t.Errorf("%+v", s)
			}
		}
	})
}

func TestTheQueueBudgetLimitsAllSlotsTogether(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots, size, most = 20, 1 << 20, 8 << 20
		server := newTestServer(t)
		read := server.readNothing()
		server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) {}
		targets := targetsFor(transport, server.url())
		targets[0].Config.NetDial = dialSmallBuffer
		var refused []error
		g := startGroup(t, Options{
			Targets: targets, Size: slots, Ping: -1, QueueBudget: most,
			OnUnsent: func(_ *Slot, _ int, err error) { refused = append(refused, err) },
		})
		waitAllUp(t, g)
		for range 3 {
			g.Broadcast(websock.OpBinary, make([]byte, size))
		}
		held := 0
		for s := range g.Slots() {
			held += s.Conn().Queued()
			s.mu.Lock()
			if s.outbox != nil {
				held += s.outbox.cost
			}
			s.mu.Unlock()
		}
		if held > most+slots*(128<<10) || held < most/4 { // a write under way has memory of its own
			t.Errorf("%d bytes are held", held)
		}
		if len(refused) == 0 {
			t.Error("nothing was refused")
		}
		for _, err := range refused {
			if !errors.Is(err, websock.ErrSendQueueFull) {
				t.Fatal(err)
			}
		}
		read()
		waitUntil(t, "there is room again", func() bool { return g.Slot(0).SendBinary(make([]byte, size)) == nil })
		waitUntil(t, "all has left", func() bool {
			g.budget.recount()
			return g.budget.used.Load() == 0
		})
	})
}

func TestTheQueueBudgetCountsKeptMessages(t *testing.T) {
	g := startGroup(t, Options{Targets: URLs("ws://127.0.0.1:1/"), Size: 10, SendBuffer: 1000, QueueBudget: 3 * (messageCost + 100)})
	if d := g.Broadcast(websock.OpBinary, make([]byte, 100)); d != (Delivery{Kept: 3, Refused: 7}) {
		t.Errorf("%+v", d)
	}
	shutdown(t, g)
	if used := g.budget.used.Load(); used != 0 {
		t.Errorf("%d bytes are counted after all was dropped", used)
	}
}
