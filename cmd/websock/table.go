package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// print writes the report to standard output.
func (f *fanoutJob) print(r *report) error {
	if f.json {
		return json.NewEncoder(f.out).Encode(r)
	}
	return r.table(f.out)
}

// table writes the report for people.
func (r *report) table(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	row := func(label, format string, args ...any) {
		fmt.Fprintf(t, label+"\t"+format+"\n", args...)
	}
	row("server", "%s (%s)", strings.Join(r.URLs, " "), r.Server)
	row("transport", "%s", r.Transport)
	if r.Processes > 1 {
		row("processes", "%d", r.Processes)
	}
	if len(r.Sources) > 0 {
		row("source addresses", "%s", strings.Join(r.Sources, " "))
	}
	row("connections", "%s of %s", grouped(r.Connections), grouped(r.Asked))
	row("dial rate", "%s a second", grouped(r.DialRate))
	if r.Reconnects > 0 {
		row("reconnected", "%s times", grouped(r.Reconnects))
	}
	row("messages sent", "%s of %s bytes, %d in flight on each connection", grouped(r.Sent), grouped(r.Size), r.Window)
	row("messages received", "%s", grouped(r.Received))
	row("messages a second", "%s for %.1f s", grouped(r.MessagesPerSecond), r.Seconds)
	row("latency p50", "%v", microseconds(r.Latency.P50))
	row("latency p90", "%v", microseconds(r.Latency.P90))
	row("latency p99", "%v", microseconds(r.Latency.P99))
	row("latency max", "%v", microseconds(r.Latency.Max))
	row("client CPU per message", "%.2f µs", r.CPUPerMessage)
	row(memoryLabel, "%s bytes", grouped(r.BytesPerConn))
	row("memory, all in all", "%s MB", grouped(float64(r.Resident)/1e6))
	row("errors", "%s", grouped(r.ErrorsTotal))
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		row("  "+kind, "%s", grouped(r.Errors[kind])+r.example(kind))
	}
	return t.Flush()
}

// example returns the first error of a kind, where there is more to say than the
// kind does.
func (r *report) example(kind string) string {
	if first := r.first[kind]; first != "" {
		return ", first: " + first
	}
	return ""
}

func microseconds(µs int64) time.Duration { return time.Duration(µs) * time.Microsecond }

// grouped writes a number without decimals, digits in groups of three.
func grouped[N int | int64 | float64](n N) string {
	digits := strconv.FormatFloat(float64(n), 'f', 0, 64)
	var b strings.Builder
	for i, digit := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(digit)
	}
	return b.String()
}
