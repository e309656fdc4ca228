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
	"github.com/seed004e8d11/websock/transport/epoll"
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
	b.Run(fmt.Sprintf("HTTP2/stalled=0 of %d", slots), func(b *testing.B) {
		benchmarkBroadcast(b, muxed{epoll.Transport(), newMux(b)}, slots, 0)
	})
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

// BenchmarkPublish measures a message to 10 slots that are subscribed to its topic, which must not
// depend on how many slots there are. An operation is Publish, until the peers have received the
// message; call-ns is the time of Publish alone.
func BenchmarkPublish(b *testing.B) {
	const subscribers = 10
	for _, slots := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("%d of %d", subscribers, slots), func(b *testing.B) {
			a := &broadcastReceivers{begin: time.Now(), want: subscribers, all: make(chan struct{}, 1)}
			server := newTestServer(b)
			server.OnMessage = a.take
			g := startGroup(b, Options{
				Targets: targetsFor(epoll.Transport(), server.url()),
				Size:    slots,
				Ping:    -1,
				Pace:    Pace{PerHost: subscribers + 1},
				Prepare: func(ctx context.Context, s *Slot, _ *Target) error {
					if s.Number() >= subscribers {
						<-ctx.Done() // so that the others stay down
					}
					return ctx.Err()
				},
			})
			for number := range subscribers {
				g.Slot(number).Subscribe("news")
			}
			waitUntil(b, "the subscribers are up, and the others wait", func() bool {
				g.mu.Lock()
				defer g.mu.Unlock()
				return g.inState[Up] == subscribers && !g.enqueuing
			})
			message := make([]byte, 512)
			var calls time.Duration
			b.ReportAllocs()
			for b.Loop() {
				began := time.Now()
				a.sent.Store(int64(began.Sub(a.begin)))
				g.Publish("news", websock.OpBinary, message)
				calls += time.Since(began)
				<-a.all
			}
			b.ReportMetric(float64(calls.Nanoseconds())/float64(b.N), "call-ns")
		})
	}
}

// BenchmarkSubscribe measures how long it takes to subscribe a slot to a topic and to end that
// subscription, which must not depend on how many others there are, but for the caches of the processor.
func BenchmarkSubscribe(b *testing.B) {
	for _, subscribers := range []int{100, 100_000} {
		b.Run(fmt.Sprint("beside ", subscribers), func(b *testing.B) {
			g, slots := &Group{}, make([]Slot, subscribers+1)
			for i := range slots {
				slots[i].group = g
				slots[i].Subscribe("news")
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s := &slots[i*7919%len(slots)]
				s.Unsubscribe("news")
				s.Subscribe("news")
			}
		})
	}
}
