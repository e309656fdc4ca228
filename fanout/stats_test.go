package fanout

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestHistogramBucketsAndQuantiles(t *testing.T) {
	var h Histogram
	if h.Quantile(0.5) != 0 {
		t.Error("a quantile of nothing")
	}
	for _, test := range []struct {
		d      time.Duration
		bucket int
	}{
		{-1, 0}, {0, 0}, {64 * time.Microsecond, 0}, {64*time.Microsecond + 1, 1}, {128 * time.Microsecond, 1},
		{time.Millisecond, 4}, {time.Second, 14}, {time.Hour, buckets - 1}, {1 << 62, buckets - 1},
	} {
		var h Histogram
		h.Add(test.d)
		if h.Buckets[test.bucket] != 1 || h.Count != 1 || h.Sum != max(test.d, 0) {
			t.Errorf("%v: %+v", test.d, h)
		}
		if i := test.bucket; i > 0 && test.d <= h.Bound(i-1) || i < buckets-1 && test.d > h.Bound(i) {
			t.Errorf("%v isn't within the bounds of bucket %d", test.d, i)
		}
	}
	for i := range 100 {
		h.Add(time.Duration(i+1) * time.Millisecond)
	}
	for q, most := range map[float64]time.Duration{0: 2 * time.Millisecond, 0.5: 100 * time.Millisecond, 0.99: 200 * time.Millisecond, 1: 200 * time.Millisecond} {
		least := time.Duration(q*100) * time.Millisecond
		if got := h.Quantile(q); got < least || got > most {
			t.Errorf("quantile %v: %v", q, got)
		}
	}
}

func TestStatsCountBytesBeforeAndAfterCompression(t *testing.T) {
	server := newTestServer(t)
	server.Compression = websock.DefaultCompression
	targets := targetsFor(nil, server.url())
	targets[0].Config.Compression = websock.DefaultCompression
	var came atomic.Int32
	g := startGroup(t, Options{Targets: targets, Size: 3, OnMessage: func(*Slot, websock.Opcode, []byte) { came.Add(1) }})
	waitAllUp(t, g)
	message := bytes.Repeat([]byte("all alike "), 1000)
	g.Broadcast(websock.OpText, message)
	waitUntil(t, "all echoes", func() bool { return came.Load() == 3 })
	check := func(when string) {
		t.Helper()
		want := uint64(3 * len(message))
		s := g.Stats().Traffic
		if s.BeforeDeflate != want || s.AfterInflate != want || s.AfterDeflate == 0 || s.AfterDeflate > want/10 || s.BeforeInflate == 0 || s.BeforeInflate > want/10 {
			t.Errorf("%s: %+v", when, s)
		}
	}
	waitUntil(t, "the counts", func() bool { return g.Stats().Traffic.MessagesReceived == 3 })
	check("while the slots are up")
	shutdown(t, g)
	check("afterwards")
}

func TestCountsAddUpAfterFaults(t *testing.T) {
	eachTransport(t, func(t *testing.T, transport websock.Transport) {
		faulty := faultyServer(t)
		good := newTestServer(t)
		var downs, connects atomic.Int64
		g := startGroup(t, Options{
			Targets:    append(targetsFor(transport, faulty), targetsFor(transport, good.url())...),
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
		if s.Attempts != s.Ready+failed || s.Ready != totalLost(s) || s.Stopped != 20 || uint64(downs.Load()) != failed+totalLost(s) {
			t.Errorf("%d calls of OnDown, %+v", downs.Load(), s)
		}
	})
}
