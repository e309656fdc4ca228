package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// dialSmall connects with a small send buffer, so that a peer that doesn't read is soon felt.
func dialSmall(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		conn.(*net.TCPConn).SetWriteBuffer(8 << 10)
	}
	return conn, err
}

func TestPeersThatDoNotReadHoldUpNobodyElse(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
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
		targets := over(transport, server.url())
		targets[0].Config.NetDial = dialSmall
		targets[0].Config.Limits.CloseTimeout = 100 * time.Millisecond
		g := begun(t, Options{
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
		allUp(t, g)
		eventually(t, "the stalls", func() bool { return stalls.Load() == stalled })
		refusals := 0
		for i := range rounds {
			d := g.Broadcast(websock.OpBinary, bytes.Repeat([]byte{byte(i)}, size))
			eventually(t, "all others receive", func() bool { return received[i].Load() >= slots-stalled })
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
		// So that Shutdown needn't wait for them.
		for _, c := range server.all() {
			c.Abort(nil)
		}
	})
}

func TestAPeerThatDoesNotReadIsGivenUp(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnConn = func(c *websock.Conn) { c.Pause() }
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, _ []byte) { c.Pause() }
		downs := make(chan error, 10)
		targets := over(transport, server.url())
		targets[0].Config.NetDial = dialSmall
		g := begun(t, Options{
			Targets:     targets,
			Ping:        100 * time.Millisecond,
			PingTimeout: 100 * time.Millisecond,
			OnDown:      func(_ *Slot, err error, _ time.Duration) { downs <- err },
		})
		allUp(t, g)
		for g.Slot(0).SendBinary(make([]byte, 64<<10)) == nil {
		}
		if err := <-downs; !errors.Is(err, websock.ErrIdle) {
			t.Error(err)
		}
	})
}

func TestWhatIsSentWhileASlotIsDownComesFirst(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
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
		g := begun(t, Options{
			Targets:    over(transport, server.url()),
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
		allUp(t, g)
		if err := s.SendText([]byte("after")); err != nil {
			t.Error(err)
		}
		want := []string{"hello", "0", "1", "2", "3", "4", "after"}
		eventually(t, "all messages", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got) >= len(want)
		})
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}

func TestABroadcastToSlotsThatAreDown(t *testing.T) {
	server := newTestServer(t)
	server.kill()
	for buffer, want := range map[int]Delivery{0: {Down: 3}, 1000: {Kept: 3}} {
		g := begun(t, Options{Targets: over(nil, server.url()), Size: 3, SendBuffer: buffer})
		if d := g.Broadcast(websock.OpText, []byte("x")); d != want {
			t.Errorf("%+v, want %+v", d, want)
		}
	}
}

func TestWhatWasKeptInVainIsReported(t *testing.T) {
	url := answering(t, http.StatusForbidden, nil)
	let := make(chan struct{})
	type report struct {
		n   int
		err error
	}
	unsent := make(chan report, 1)
	g := begun(t, Options{
		Targets:    over(nil, url),
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

func TestWhatCanNotBeSentIsRefused(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		g := begun(t, Options{Targets: over(transport, server.url())})
		s := g.Slot(0)
		allUp(t, g)
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
	g := begun(t, Options{Targets: over(epoll.Transport(), server.url()), Size: 10, Ping: -1})
	allUp(t, g)
	if !g.Slot(0).Conn().Queues() {
		t.Skip("there are no event loops on this system")
	}
	msg := bytes.Repeat([]byte("x"), 125)
	var d Delivery
	if n := testing.AllocsPerRun(100, func() { d = g.Broadcast(websock.OpText, msg) }); n != 0 || d.Sent != 10 {
		t.Errorf("%v allocations, %+v", n, d)
	}
	if n := testing.AllocsPerRun(100, func() { g.Slot(0).SendText(msg) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestOnDataGetsPayloadAsItComes(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		var got atomic.Int64
		g := begun(t, Options{
			Targets: over(transport, server.url()),
			OnData: func(_ *Slot, h websock.Header, payload []byte) {
				got.Add(int64(len(payload)))
				if h.Length != 300000 {
					t.Errorf("%+v", h)
				}
			},
		})
		allUp(t, g)
		if err := g.Slot(0).SendBinary(make([]byte, 300000)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "all payload", func() bool { return got.Load() == 300000 })
	})
}
