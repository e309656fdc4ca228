//go:build linux

package loopback

import (
	"math"
	"time"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/server"
)

// Result is the result of a run.
type Result struct {
	client.Cost                         // of all but Idle
	Turnaround        server.Turnaround // of Echo over ws; with Server, as the client sees it
	Sent              float64           // bytes of a payload as it was sent, of Echo over ws
	BytesPerConn      float64
	GoroutinesPerConn float64
	TimersPerConn     float64
	Latencies         client.Latencies // of Beside and Stalled
	Outside           bool             // measured from outside, which doesn't see allocations, goroutines, and timers
	Error             string
	LeftOut           bool // Error is ErrLeftOut
}

// A Figure is one of the figures in a Result.
type Figure struct {
	Unit   string
	Format string
	Of     func(Result) float64
}

// Figures returns the figures of the case. Contestants are compared by the first.
func (c Case) Figures() []Figure {
	if c.Server && c.Kind == Idle {
		return []Figure{
			{"B/conn", "%.0f", func(r Result) float64 { return r.BytesPerConn }},
			{"goroutines/conn", "%.2f", func(r Result) float64 { return r.GoroutinesPerConn }},
		}
	}
	if c.Kind == Idle {
		return []Figure{
			{"B/conn", "%.0f", func(r Result) float64 { return r.BytesPerConn }},
			{"goroutines/conn", "%.2f", inside(func(r Result) float64 { return r.GoroutinesPerConn })},
			{"timers/conn", "%.2f", inside(func(r Result) float64 { return r.TimersPerConn })},
		}
	}
	if c.timesMessages() {
		return c.latencyFigures()
	}
	perMessage := func(of func(Result) float64) func(Result) float64 {
		return func(r Result) float64 { return of(r) / float64(r.Messages) }
	}
	cpu := perMessage(func(r Result) float64 { return r.CPU.Seconds() * 1e6 })
	rate := func(r Result) float64 { return float64(r.Messages) / r.Time.Seconds() }
	allocs := inside(perMessage(func(r Result) float64 { return float64(r.Allocs) }))
	if c.Kind == Dial {
		return []Figure{{"µs-cpu/conn", "%.0f", cpu}, {"conns/s", "%.0f", rate}, {"allocs/conn", "%.0f", allocs}}
	}
	figures := []Figure{
		{"µs-cpu/msg", "%.2f", cpu},
		{"msg/s", "%.0f", rate},
	}
	if !c.Server { // whose heap is another process's, and programs may use other system calls
		figures = append(figures,
			Figure{"reads/msg", "%.2f", perMessage(func(r Result) float64 { return float64(r.Reads) })},
			Figure{"writes/msg", "%.2f", perMessage(func(r Result) float64 { return float64(r.Writes) })},
			Figure{"allocs/msg", "%.2f", allocs})
	}
	if c.compresses() { // who compresses less has less to do
		figures = append(figures, Figure{"B/msg", "%.0f", func(r Result) float64 { return r.Sent }})
	}
	if c.hasTurnaround() {
		micro := func(of func(server.Turnaround) time.Duration) func(Result) float64 {
			return func(r Result) float64 { return of(r.Turnaround).Seconds() * 1e6 }
		}
		figures = append(figures,
			Figure{"µs-p50", "%.0f", micro(func(t server.Turnaround) time.Duration { return t.P50 })},
			Figure{"µs-p99", "%.0f", micro(func(t server.Turnaround) time.Duration { return t.P99 })})
	}
	return figures
}

// inside returns a figure that is unknown of what is measured from outside.
func inside(of func(Result) float64) func(Result) float64 {
	return func(r Result) float64 {
		if r.Outside {
			return math.NaN()
		}
		return of(r)
	}
}

// hasTurnaround reports whether the server, or the client of servers that are compared, measures the
// turnaround: that of ws with one message in flight and a connection for each.
func (c Case) hasTurnaround() bool { return c.Kind == Echo && !c.Secure && c.Shared == 0 }

// latencyFigures returns the figures of a case that times single messages.
func (c Case) latencyFigures() []Figure {
	micro := func(of func(client.Latencies) time.Duration) func(Result) float64 {
		return func(r Result) float64 { return of(r.Latencies).Seconds() * 1e6 }
	}
	all := map[string]func(client.Latencies) time.Duration{
		"p50": func(l client.Latencies) time.Duration { return l.Measured.P50 },
		"p99": func(l client.Latencies) time.Duration { return l.Measured.P99 },
	}
	base := map[string]func(client.Latencies) time.Duration{
		"p50": func(l client.Latencies) time.Duration { return l.Base.P50 },
		"p99": func(l client.Latencies) time.Duration { return l.Base.P99 },
	}
	var figures []Figure
	for _, q := range []string{"p50", "p99"} {
		now, before := micro(all[q]), micro(base[q])
		figures = append(figures,
			Figure{"µs-" + q, "%.0f", now},
			Figure{"base-µs-" + q, "%.0f", before},
			Figure{q + "/base", "%.2f", func(r Result) float64 { return now(r) / before(r) }})
	}
	return figures
}
