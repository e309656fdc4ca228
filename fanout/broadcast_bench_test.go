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

// BenchmarkBroadcast measures how long a broadcast takes to reach those who read, when nobody
// and when one in a hundred has stopped reading and has as much waiting as may. An operation
// is a broadcast, from its beginning until all of them have it; p50 and p99 are of the times
// until each one has it.
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
	a := &audience{begin: time.Now(), want: int64(slots - stalled), all: make(chan struct{}, 1)}
	g := startListening(b, a, transport, slots, stalled)
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

// An audience is those who read.
type audience struct {
	begin   time.Time
	sent    atomic.Int64 // when the message under way was, since the beginning, in nanoseconds
	want    int64        // of them
	all     chan struct{}
	stalled atomic.Int64

	mu       sync.Mutex
	received int64
	times    []time.Duration
}

func (a *audience) take(c *websock.Conn, op websock.Opcode, msg []byte) {
	if op == websock.OpText { // from one that is to stop
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

// startListening returns a Group whose first slots have peers that read nothing, and for which
// no more fits.
func startListening(b *testing.B, a *audience, transport websock.Transport, slots, stalled int) *Group {
	server := newTestServer(b)
	server.OnMessage = a.take
	targets := over(transport, server.url())
	targets[0].Config.Limits.CloseTimeout = 100 * time.Millisecond
	g := begun(b, Options{
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
	allUp(b, g)
	eventually(b, "those who stop", func() bool { return a.stalled.Load() == int64(stalled) })
	for number := range stalled {
		fill(b, g.Slot(number))
	}
	b.Cleanup(func() {
		for _, c := range server.all() {
			c.Abort(nil) // so that Shutdown needn't wait for them
		}
	})
	return g
}

// fill sends to a slot until it takes nothing more, also after a while.
func fill(b *testing.B, s *Slot) {
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
