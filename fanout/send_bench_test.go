package fanout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// BenchmarkBroadcast measures how long a broadcast takes to reach the peers that read: all of them,
// and all but one in a hundred, whose queues are full. An operation is a broadcast, until all these
// peers have received it; p50 and p99 are quantiles of the times until each one has.
func BenchmarkBroadcast(b *testing.B) {
	const slots = 2000
	for name, transport := range transports {
		for _, stalled := range []int{0, slots / 100} {
			b.Run(fmt.Sprintf("%s/stalled=%d of %d", name, stalled, slots), func(b *testing.B) {
				benchmarkBroadcast(b, transport, slots, stalled)
			})
		}
	}
}

func benchmarkBroadcast(b *testing.B, transport websock.Transport, slots, stalled int) {
	a := &broadcastReceivers{begin: time.Now(), want: int64(slots - stalled), all: make(chan struct{}, 1)}
	g := startBenchGroup(b, a, transport, slots, stalled)
	message := make([]byte, 512)
	for b.Loop() {
		a.sent.Store(int64(time.Since(a.begin)))
		g.Broadcast(websock.OpBinary, message)
		<-a.all
	}
	slices.Sort(a.times)
	for _, percent := range []int{50, 99} {
		took := a.times[len(a.times)*percent/100]
		b.ReportMetric(float64(took.Microseconds()), fmt.Sprintf("p%d-µs", percent))
	}
}

// broadcastReceivers records when the peers that read receive a broadcast.
type broadcastReceivers struct {
	begin   time.Time
	sent    atomic.Int64 // when the last broadcast was, in nanoseconds since begin
	want    int64        // number of peers that read
	all     chan struct{}
	stalled atomic.Int64

	mu       sync.Mutex
	received int64
	times    []time.Duration
}

func (a *broadcastReceivers) take(c *websock.Conn, op websock.Opcode, msg []byte) {
	if op == websock.OpText { // from a peer that is to stop reading
		c.Pause()
		a.stalled.Add(1)
		return
	}
	took := time.Since(a.begin) - time.Duration(a.sent.Load())
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times = append(a.times, took)
	if a.received++; a.received%a.want == 0 {
		a.all <- struct{}{}
	}
}

// startBenchGroup returns a Group. The peers of the first slots don't read, and the queues to them
// are full.
func startBenchGroup(b *testing.B, a *broadcastReceivers, transport websock.Transport, slots, stalled int) *Group {
	server := newTestServer(b)
	server.OnMessage = a.take
	targets := targetsFor(transport, server.url())
	targets[0].Config.Limits.CloseTimeout = 100 * time.Millisecond
	g := startGroup(b, Options{
		Targets: targets,
		Size:    slots,
		Ping:    -1,
		Pace:    Pace{Rate: -1, PerHost: 32},
		OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error {
			if s.Number() < stalled {
				return c.SendText([]byte("stop"))
			}
			return nil
		},
	})
	waitAllUp(b, g)
	waitUntil(b, "the peers that stop reading", func() bool { return a.stalled.Load() == int64(stalled) })
	for number := range stalled {
		fillQueue(b, g.Slot(number))
	}
	b.Cleanup(func() {
		for _, c := range server.all() {
			c.Abort(nil) // or Shutdown would wait for CloseTimeout
		}
	})
	return g
}

// fillQueue sends to a slot until it accepts nothing more, even after a while.
func fillQueue(b *testing.B, s *Slot) {
	message := make([]byte, 64<<10)
	var full *websock.LimitError
	for refusals := 0; refusals < 3; {
		err := s.SendBinary(message)
		switch {
		case err == nil:
			refusals = 0
		case errors.As(err, &full):
			refusals++
			message = message[:len(message)/2+1]
			time.Sleep(5 * time.Millisecond)
		default:
			b.Fatal(err)
		}
	}
}
