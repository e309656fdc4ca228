//go:build linux

package loopback

import "github.com/seed004e8d11/websock/bench/client"

// Result is what a run took.
type Result struct {
	client.Cost       // of all but Idle
	BytesPerConn      float64
	GoroutinesPerConn float64
	Error             string
}

// A Figure is one of those that a result has.
type Figure struct {
	Unit   string
	Format string
	Of     func(Result) float64
}

// Figures returns those of the case, first the one to compare by.
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
	return []Figure{
		{"µs-cpu/msg", "%.2f", perMessage(func(r Result) float64 { return r.CPU.Seconds() * 1e6 })},
		{"msg/s", "%.0f", func(r Result) float64 { return float64(r.Messages) / r.Time.Seconds() }},
		{"reads/msg", "%.2f", perMessage(func(r Result) float64 { return float64(r.Reads) })},
		{"writes/msg", "%.2f", perMessage(func(r Result) float64 { return float64(r.Writes) })},
		{"allocs/msg", "%.2f", perMessage(func(r Result) float64 { return float64(r.Allocs) })},
	}
}
