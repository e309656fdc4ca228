//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/bench/loopback"
)

// A part is measured on its own and has a file of raw figures.
type part struct {
	name, title, about string
	cases              func(loopback.Case) bool // nil: the benchmarks in memory
}

var parts = []part{
	{"loopback", "Clients over loopback", overLoopback, func(c loopback.Case) bool { return !c.Server && c.Shared == 0 }},
	{"http2", "WebSockets that share HTTP/2 connections", overHTTP2, func(c loopback.Case) bool { return !c.Server && c.Shared > 0 }},
	{"servers", "Servers", asServers, func(c loopback.Case) bool { return c.Server }},
	{"memory", "In memory", inMemory, nil},
}

// An extent is how much is measured.
type extent struct {
	benchmarks string        // in memory, a regular expression
	time       time.Duration // of each
	rounds     int
	cases      func(name string) bool // over loopback
	timing     loopback.Timing
	turns      int // rounds of cases that can't be sliced
}

// slice is the time after which the next of several contestants goes on.
const slice = 50 * time.Millisecond

var (
	quickCases = regexp.MustCompile(`^(server/)?(echo/ws/conns=1000|pipelined/ws/conns=64x16|idle/ws/conns=1000)$|^echo/wss/conns=1000/shared=10$`)

	// leftOut are cases that are in HTTP2.md and SERVERS.md, or that others say as much as, and faster.
	leftOut = regexp.MustCompile(strings.Join([]string{
		`^echo/wss/conns=1000$`, `^idle/ws/conns=1000$`, `^broadcast/ws/conns=10000$`,
		`^(beside|stalled)/`, `^idle/.*/shared=10(00)?$`, `^echo/.*conns=10000/shared`, `^echo/.*/shared=1$`, `^echo/.*/size=\d+/shared`,
		`^server/echo/ws/conns=(1|64)$`, `^server/.*/conns=5000$`, `^server/idle/.*/conns=1000\b`,
		`^server/broadcast/.*/conns=10000\b`, `^server/(echo/ws/conns=10000|broadcast.*)/shared`,
	}, "|"))
)

var extents = map[bool]extent{
	true: {
		benchmarks: "^Benchmark(Receive|Send|Reply)$/size=(125|65536)$",
		time:       10 * time.Millisecond,
		rounds:     3,
		cases:      quickCases.MatchString,
		timing:     loopback.Timing{Warmup: 50 * time.Millisecond, Window: 100 * time.Millisecond},
		turns:      1,
	},
	false: {
		benchmarks: "^Benchmark(Receive|ReceiveText|Reply|Send|CompressedReceive|CompressedReply|ParseHeader|AppendHeader|Mask)$",
		time:       20 * time.Millisecond,
		rounds:     5,
		cases:      func(name string) bool { return !leftOut.MatchString(name) },
		timing:     loopback.Timing{Warmup: 200 * time.Millisecond, Window: 500 * time.Millisecond},
		turns:      2,
	},
}

// measure writes a file of raw figures. It replaces an older one when it is complete.
func (p part) measure(e extent, dir, others string) error {
	file := p.file(dir)
	w, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	defer os.Remove(w.Name())
	defer w.Close()
	fmt.Fprintf(w, "date: %s\nmachine: %s\n", time.Now().UTC().Format(time.DateOnly), machine())
	if p.cases == nil {
		err = measureInMemory(e, w)
	} else {
		err = p.measureOverLoopback(e, others, w)
	}
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.Rename(w.Name(), file)
}

func (p part) file(dir string) string { return filepath.Join(dir, p.name+".txt") }

// measureInMemory runs the benchmarks in rounds.
func measureInMemory(e extent, w io.Writer) error {
	dir, err := os.MkdirTemp("", "websock-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	for i := range e.rounds {
		began := time.Now()
		round := exec.Command(binary, "-test.run=^$", "-test.bench="+e.benchmarks, "-test.benchtime="+e.time.String())
		round.Stdout, round.Stderr = w, os.Stderr
		if err := round.Run(); err != nil {
			return err
		}
		fmt.Printf("memory: round %d of %d took %.0f s\n", i+1, e.rounds, time.Since(began).Seconds())
	}
	return nil
}

// measureOverLoopback prints each table when it is complete.
func (p part) measureOverLoopback(e extent, others string, w io.Writer) error {
	lab, err := loopback.Open(true)
	if err != nil {
		return err
	}
	defer lab.Close()
	var chosen []loopback.Case
	for _, c := range loopback.Cases {
		if p.cases(c) && e.cases(c.String()) {
			chosen = append(chosen, c)
		}
	}
	said := map[string]bool{} // of programs that are missing
	for i, c := range chosen {
		began := time.Now()
		foreign, missing := c.Others(others)
		for _, why := range missing {
			if !said[why] {
				fmt.Println(why)
				said[why] = true
			}
		}
		t := e.compare(lab, c, append(c.Contestants(), foreign...))
		fmt.Printf("%s: %d of %d, %s, took %.0f s\n", p.name, i+1, len(chosen), c, time.Since(began).Seconds())
		t.Print(os.Stdout)
		if err := writeRaw(w, t, e.slices(c)); err != nil {
			return err
		}
	}
	return nil
}

// slices reports whether contestants run at the same time. With very many connections, those of all
// contestants together would need too much memory.
func (e extent) slices(c loopback.Case) bool { return c.CanSlice() && c.Conns <= 1000 }

// compare runs a case.
func (e extent) compare(lab *loopback.Lab, c loopback.Case, contestants []loopback.Contestant) *loopback.Table {
	t := loopback.NewTable(c, contestants)
	if e.slices(c) {
		t.AddSlicedRound(lab, e.timing, slice)
		return t
	}
	turns := e.turns
	if c.Kind == loopback.Idle { // memory hardly differs from one turn to the next
		turns = 1
	}
	for range turns {
		t.AddRound(lab, e.timing)
	}
	return t
}

// machine describes the machine.
func machine() string {
	model := runtime.GOARCH
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d processors, Linux %s, %s", model, runtime.NumCPU(), strings.TrimSpace(string(kernel)), runtime.Version())
}
