package fanout

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestShutdownSendsWhatWaitsAndCloses(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		const slots, messages = 20, 50
		server := newTestServer(t)
		var got atomic.Int32
		server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) { got.Add(1) }
		var mu sync.Mutex
		codes := map[websock.CloseCode]int{}
		g := begun(t, Options{
			Targets: over(transport, server.url()),
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
		allUp(t, g)
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

func TestShutdownCutsWhatDoesNotEndInTime(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnConn = func(c *websock.Conn) { c.Pause() }
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, _ []byte) { c.Pause() }
		targets := over(transport, server.url())
		targets[0].Config.NetDial = dialSmall
		g := begun(t, Options{Targets: targets, Size: 3, Ping: -1})
		allUp(t, g)
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

func TestShutdownWaitsNoLongerThanACloseMayTake(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnConn = func(c *websock.Conn) { c.Pause() }
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, _ []byte) { c.Pause() }
		targets := over(transport, server.url())
		targets[0].Config.NetDial = dialSmall
		targets[0].Config.Limits.CloseTimeout = 50 * time.Millisecond
		g := begun(t, Options{Targets: targets, Ping: -1})
		allUp(t, g)
		for g.Slot(0).SendBinary(make([]byte, 64<<10)) == nil {
		}
		if err := g.Shutdown(context.Background()); err != nil { // which would wait for ever
			t.Error(err)
		}
	})
}

func TestATransportThatCanNotPushStopsTheSlot(t *testing.T) {
	server := newTestServer(t)
	g := begun(t, Options{Targets: over(pullOnly{}, server.url())})
	if err := g.WaitUp(t.Context(), 1); err != ErrDown || !errors.Is(g.Slot(0).Err(), websock.ErrNoPush) {
		t.Errorf("%v, %v", err, g.Slot(0).Err())
	}
}

// pullOnly makes transports without Push.
type pullOnly struct{}

func (pullOnly) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return struct{ transport.Conn }{std.New(conn, early)}, nil
}

func TestShutdownEndsEveryKindOfAttempt(t *testing.T) {
	inPrepare, inDial, inConnect := make(chan struct{}, 9), make(chan struct{}, 9), make(chan struct{}, 9)
	server := newTestServer(t)
	targets := over(nil, server.url())
	targets = append(targets, over(nil, server.url())...)
	targets = append(targets, over(nil, server.url())...)
	targets[1].Config.NetDial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		inDial <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	var unsent atomic.Int32
	g := begun(t, Options{
		Targets:    targets,
		Size:       4, // one has to wait
		SendBuffer: 1000,
		Pace:       Pace{PerHost: -1, Handshakes: 3},
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

// The bound of OnConnect, which Shutdown cuts short, ends before a slot is up.
func TestShutdownOfSlotsThatHaveJustComeUpIsOrderly(t *testing.T) {
	const slots = 200
	server := newTestServer(t)
	shut := make(chan struct{})
	down := make(chan error, slots)
	bounds := make(chan context.Context, slots)
	g := begun(t, Options{
		Targets: over(nil, server.url()),
		Size:    slots,
		Pace:    Pace{Handshakes: slots},
		OnConnect: func(ctx context.Context, _ *Slot, _ *websock.Conn) error {
			bounds <- ctx
			return nil
		},
		OnDown: func(_ *Slot, err error, _ time.Duration) { down <- err },
		Logger: slog.New(&onRecord{slog.DiscardHandler, func(message string) {
			if message == "connected" { // the attempt is about to return
				<-shut
			}
		}}),
	})
	allUp(t, g)
	done := make(chan error, 1)
	go func() { done <- g.Shutdown(t.Context()) }()
	for range slots {
		<-(<-bounds).Done()
	}
	time.Sleep(20 * time.Millisecond) // for what waits for that
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

// An onRecord is told the messages of a log.
type onRecord struct {
	slog.Handler
	told func(message string)
}

func (*onRecord) Enabled(context.Context, slog.Level) bool { return true }

func (h *onRecord) Handle(_ context.Context, r slog.Record) error {
	h.told(r.Message)
	return nil
}

func (h *onRecord) WithAttrs([]slog.Attr) slog.Handler { return h }
