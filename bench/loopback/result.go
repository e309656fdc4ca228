//go:build linux

package loopback

import (
	"time"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/server"
)

// Result is the result of a run.
type Result struct {
	client.Cost                         // of all but Idle
	Turnaround        server.Turnaround // of Echo over ws
	BytesPerConn      float64
	GoroutinesPerConn float64
	Error             string
}

// A Figure is one of the figures in a Result.
type Figure struct {
	Unit   string
	Format string
	Of     func(Result) float64
}

// Figures returns the figures of the case. Contestants are compared by the first.
func (c Case) Figures() []Figure {
	if c.Kind == Idle {
		return []Figure{
			{"B/conn", "%.0f", func(r Result) float64 { return r.BytesPerConn }},
			{"goroutines/conn", "%.2f", func(r Result) float64 { return r.GoroutinesPerConn }},
		}
	}
	perMessage := func(of func(Result) float64) func(Result) float64 {
		return func(r Result) float64 { return of(r) / float64(r.Messages) }
	}
	cpu := perMessage(func(r Result) float64 { return r.CPU.Seconds() * 1e6 })
	rate := func(r Result) float64 { return float64(r.Messages) / r.Time.Seconds() }
	allocs := perMessage(func(r Result) float64 { return float64(r.Allocs) })
	if c.Kind == Dial {
		return []Figure{{"µs-cpu/conn", "%.0f", cpu}, {"conns/s", "%.0f", rate}, {"allocs/conn", "%.0f", allocs}}
	}
	figures := []Figure{
		{"µs-cpu/msg", "%.2f", cpu},
		{"msg/s", "%.0f", rate},
		{"reads/msg", "%.2f", perMessage(func(r Result) float64 { return float64(r.Reads) })},
		{"writes/msg", "%.2f", perMessage(func(r Result) float64 { return float64(r.Writes) })},
		{"allocs/msg", "%.2f", allocs},
	}
	if c.Kind == Echo && !c.Secure {
		micro := func(of func(server.Turnaround) time.Duration) func(Result) float64 {
			return func(r Result) float64 { return of(r.Turnaround).Seconds() * 1e6 }
		}
		figures = append(figures,
			Figure{"µs-p50", "%.0f", micro(func(t server.Turnaround) time.Duration { return t.P50 })},
			Figure{"µs-p99", "%.0f", micro(func(t server.Turnaround) time.Duration { return t.P99 })})
	}
	return figures
}
