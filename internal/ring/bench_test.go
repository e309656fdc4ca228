//go:build linux

package ring

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/socket"
)

// BenchmarkBatch sends 128 bytes on each of some sockets and receives them, through a ring, and sends
// them back by system calls of their own. It reports medians of both for a batch, and their ratios.
func BenchmarkBatch(b *testing.B) {
	for _, network := range all {
		for _, n := range []int{1, 2, 3, 4, 8, 16, 32, 64} {
			b.Run(fmt.Sprintf("%s/%d", network, n), func(b *testing.B) { benchmarkBatch(b, network, n) })
		}
	}
}

func benchmarkBatch(b *testing.B, network string, n int) {
	r := opened(b, n)
	here, peers := make([]*descriptor, n), make([]*descriptor, n)
	for i := range n {
		here[i], peers[i] = sockets(b, network)
	}
	message, received := make([]byte, 128), make([]byte, 4<<10)
	check := func(n int) {
		if n != len(message) {
			b.Fatalf("%d bytes", n)
		}
	}
	steps := []struct {
		name string
		do   func()
		took []time.Duration
	}{
		{name: "ring-send", do: func() {
			for i, d := range here {
				r.Send(d.fd, message, uint32(i))
			}
			r.Submit()
			for res, ok := r.Next(); ok; res, ok = r.Next() {
				check(res.N)
			}
		}},
		{name: "ring-recv", do: func() {
			for i, d := range peers {
				r.Recv(d.fd, received, uint32(i))
			}
			r.Submit()
			for res, ok := r.Next(); ok; res, ok = r.Next() {
				check(res.N)
			}
		}},
		{name: "plain-send", do: func() {
			for _, d := range peers {
				n, _ := socket.RawWrite(d.fd, message)
				check(n)
			}
		}},
		{name: "plain-recv", do: func() {
			for _, d := range here {
				n, _ := socket.RawRead(d.fd, received)
				check(n)
			}
		}},
	}
	for b.Loop() {
		for i := range steps {
			s := &steps[i]
			begun := time.Now()
			s.do()
			s.took = append(s.took, time.Since(begun))
		}
	}
	medians := map[string]float64{}
	for _, s := range steps {
		slices.Sort(s.took)
		medians[s.name] = float64(s.took[len(s.took)/2])
		b.ReportMetric(medians[s.name], s.name+"-ns")
	}
	b.ReportMetric(medians["ring-send"]/medians["plain-send"], "send-ratio")
	b.ReportMetric(medians["ring-recv"]/medians["plain-recv"], "recv-ratio")
	b.ReportMetric(0, "ns/op")
}
