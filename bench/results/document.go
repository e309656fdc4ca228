//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/bench/loopback"
)

// about describes the benchmarks.
var about = map[string]string{
	"Receive":           "Receive binary messages, as many at once as fit into what is read. `view` and `decoder` hand out views of it, `buffer` copies to the caller's memory, `message` to a slice that grows.",
	"ReceiveText":       "Receive text of which most isn't ASCII. The bound, gobwas, gorilla, coder and xnet don't check it.",
	"Reply":             "Receive binary messages one by one and send each back.",
	"Send":              "Send binary messages, masked, the payload left intact.",
	"CompressedReceive": "Receive messages of JSON, compressed at the lowest level with windows of 32 KiB, with and without context takeover. Not all contestants can, and gorilla has no takeover.",
	"CompressedReply":   "The same, and send each back compressed.",
	"ParseHeader":       "Parse the header of an unmasked frame, of 2, 4 and 10 bytes.",
	"AppendHeader":      "Append that of a masked one, with 4 bytes more.",
	"Mask":              "Mask in place, at an odd address.",
}

// writeResults writes all tables as Markdown.
func writeResults(file string, e extent, inMemory []*grid, overLoopback []*loopback.Table) error {
	var w bytes.Buffer
	fmt.Fprintf(&w, "# Results\n\nWritten by `make bench` on %s; not by hand. %s.\n\n", time.Now().UTC().Format("2006-01-02"), machine())
	fmt.Fprintf(&w, "Compare within a table; between machines, and between two runs on a busy one, only ratios tell something. The bound checks nothing: no library can be faster. Turnaround, where p50 and p99 are given, is what the server sees from an echo to the next message, or the client of servers that are compared from one echo to the next. Reads and writes are those that the kernel counts, which leaves out recv and send: those of raw and transport/epoll.\n\n")
	fmt.Fprintf(&w, "## In memory\n\nNanoseconds for a message and, after the slash, how many times as long as the first row: medians of %d rounds. Beneath: allocations a message where there are any.\n\n", e.rounds)
	for _, g := range inMemory {
		g.write(&w)
	}
	fmt.Fprintf(&w, "## Over loopback\n\nThe client has a processor of its own, and so has the server, which is the same for all. In the cases whose names begin with server, servers are compared, and the client is the same. Medians of %d turns.\n\n", e.turns)
	for _, t := range overLoopback {
		writeTable(&w, t)
	}
	return os.WriteFile(file, w.Bytes(), 0o644)
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

func (g *grid) write(w io.Writer) {
	fmt.Fprintf(w, "### %s\n\n%s\n\n", g.name, about[g.name])
	headings := []string{"bytes"}
	headings = append(headings, g.sizes...)
	writeHeadings(w, headings)
	for _, by := range g.by {
		cells := []string{by}
		for _, size := range g.sizes {
			cells = append(cells, g.text(size, by))
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	fmt.Fprintln(w)
}

func (g *grid) text(size, by string) string {
	ns := g.median(size, by, "ns/op")
	if math.IsNaN(ns) {
		return "–"
	}
	s := fmt.Sprintf("%s / %.2f", digits(ns), g.ratio(size, by))
	if allocs := g.median(size, by, "allocs/op"); allocs > 0 {
		s += fmt.Sprintf(", %.0f allocs", allocs)
	}
	return s
}

// digits formats x with three digits.
func digits(x float64) string {
	switch {
	case x < 10:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 100:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

func writeHeadings(w io.Writer, headings []string) {
	fmt.Fprintf(w, "| %s |\n|---|%s\n", strings.Join(headings, " | "), strings.Repeat("---:|", len(headings)-1))
}

func writeTable(w io.Writer, t *loopback.Table) {
	fmt.Fprintf(w, "### %s\n\n", t.Case)
	lines := t.Cells()
	writeHeadings(w, lines[0])
	for _, cells := range lines[1:] {
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
	for _, row := range t.Rows {
		if row.Failure != nil {
			fmt.Fprintf(w, "\n%s failed: %v\n", row.Name, row.Failure)
		}
	}
	fmt.Fprintln(w)
}
