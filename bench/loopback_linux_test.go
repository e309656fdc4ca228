package bench

import (
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/bench/loopback"
)

var (
	full   = flag.Bool("websock.full", false, "also run the long cases")
	warmup = flag.Duration("websock.warmup", 50*time.Millisecond, "time before each measurement over loopback")
	window = flag.Duration("websock.window", 150*time.Millisecond, "time of each measurement over loopback")
)

func TestMain(m *testing.M) {
	loopback.Main()
	os.Exit(m.Run())
}

// BenchmarkEcho sends a message on each connection when the previous one was echoed.
func BenchmarkEcho(b *testing.B) { overLoopback(b, clients(loopback.Echo)) }

// BenchmarkPipelined keeps several messages in flight on each connection.
func BenchmarkPipelined(b *testing.B) { overLoopback(b, clients(loopback.Pipelined)) }

// BenchmarkBroadcast receives a message on each connection, repeatedly.
func BenchmarkBroadcast(b *testing.B) { overLoopback(b, clients(loopback.Broadcast)) }

// BenchmarkIdle measures the memory of idle connections.
func BenchmarkIdle(b *testing.B) { overLoopback(b, clients(loopback.Idle)) }

// BenchmarkServer compares echo servers.
func BenchmarkServer(b *testing.B) {
	overLoopback(b, func(c loopback.Case) bool { return c.Server })
}

func TestClientsTakeTurnsInSlices(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	c := loopback.Case{Kind: loopback.Echo, Conns: 3, Window: 1}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	contestants := []loopback.Contestant{{Name: "raw"}, {Name: program + ":websock-epoll"}, {Name: "nobody"}}
	timing := loopback.Timing{Warmup: 5 * time.Millisecond, Window: 200 * time.Millisecond}
	results, errs := lab.RunSliced(contestants, c, timing, time.Millisecond)
	for i := range 2 {
		if errs[i] != nil || results[i].Messages == 0 || results[i].CPU == 0 {
			t.Errorf("%s: %d messages, %v of CPU time, %v", contestants[i].Name, results[i].Messages, results[i].CPU, errs[i])
		}
	}
	if errs[2] == nil {
		t.Error("an unknown contestant has a result")
	}
}

// clients returns a function that chooses the cases of a kind in which clients are compared.
func clients(kind loopback.Kind) func(loopback.Case) bool {
	return func(c loopback.Case) bool { return c.Kind == kind && !c.Server }
}

// openLab opens a lab that is closed when this process ends.
var openLab = sync.OnceValues(func() (*loopback.Lab, error) { return loopback.Open(true) })

func overLoopback(b *testing.B, chosen func(loopback.Case) bool) {
	lab, err := openLab()
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range loopback.Cases {
		if !chosen(c) || c.Long && !*full {
			continue
		}
		for _, contestant := range c.Contestants() {
			name := strings.TrimPrefix(c.String(), strings.ToLower(strings.TrimPrefix(b.Name(), "Benchmark"))+"/")
			b.Run(name+"/"+contestant.Name, func(b *testing.B) { runCase(b, lab, c, contestant) })
		}
	}
}

// runCase reports medians of b.N runs. A failure of another library skips the benchmark.
func runCase(b *testing.B, lab *loopback.Lab, c loopback.Case, contestant loopback.Contestant) {
	var results []loopback.Result
	for range b.N {
		r, err := lab.Run(contestant, c, loopback.Timing{Warmup: *warmup, Window: *window})
		switch {
		case err == nil:
			results = append(results, r)
		case contestant.Ours:
			b.Fatal(err)
		default:
			b.Skip(err)
		}
	}
	b.ReportMetric(0, "ns/op") // includes starting and stopping processes
	for _, figure := range c.Figures() {
		values := make([]float64, len(results))
		for i, r := range results {
			values[i] = figure.Of(r)
		}
		b.ReportMetric(median(values), figure.Unit)
	}
}
