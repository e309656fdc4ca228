package fanout

import (
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport/epoll"
)

// What removing a slot and adding another one costs in a Group of a size, whose slots wait for their turn
// to dial. The size should make no difference.
func BenchmarkAddRemove(b *testing.B) {
	for _, others := range []int{100, 100_000} {
		b.Run(strconv.Itoa(others), func(b *testing.B) {
			g := startEmpty(b, Options{Targets: URLs("ws://127.0.0.1:1/"), Pace: Pace{Rate: 1e-6}})
			if err := g.Resize(others); err != nil {
				b.Fatal(err)
			}
			waitUntil(b, "all wait for their turn", func() bool { return isIdle(g) })
			keys := make([]string, 2*others) // a slot is removed when this many others were
			for i := range keys {
				keys[i] = fmt.Sprint("key ", i)
			}
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				g.Slot(n % others).Remove()
				s, err := g.Add(keys[n%len(keys)], SlotOptions{})
				if err != nil || s.Number() != n%others {
					b.Fatal(err)
				}
				n++
				for !isIdle(g) { // so that each one is put into the dialQueue and taken out of it
					runtime.Gosched()
				}
			}
			if g.Len() != others {
				b.Errorf("%d slots", g.Len())
			}
		})
	}
}

func isIdle(g *Group) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.enqueuing
}

// What aborting all of many connections takes, until the last slot has ended.
func BenchmarkAbortAll(b *testing.B) {
	const slots = 4000
	server := newTestServer(b)
	g := startEmpty(b, Options{Targets: targetsFor(epoll.Transport(), server.url()), Ping: -1, OnDown: func(*Slot, error, time.Duration) {}})
	aborting := time.Duration(0)
	for b.Loop() {
		b.StopTimer()
		if err := g.Resize(slots); err != nil {
			b.Fatal(err)
		}
		waitAllUp(b, g)
		all := slices.Collect(g.Slots())
		b.StartTimer()
		began := time.Now()
		for _, s := range all {
			s.Abort()
		}
		aborting += time.Since(began)
		for _, s := range all {
			<-s.Context().Done()
		}
	}
	b.ReportMetric(float64(aborting.Nanoseconds())/float64(b.N*slots), "ns/Abort")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*slots), "ns/slot")
}
