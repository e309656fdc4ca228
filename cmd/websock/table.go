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
	for _, row := range r.rows() {
		fmt.Fprintf(t, "%s\t%s\n", row.Label, row.Value)
	}
	return t.Flush()
}

// A row is a line of the table.
type row struct{ Label, Value string }

// rows returns what the table says.
func (r *report) rows() (rows []row) {
	add := func(label, format string, args ...any) {
		rows = append(rows, row{label, fmt.Sprintf(format, args...)})
	}
	add("server", "%s (%s)", strings.Join(r.URLs, " "), r.Server)
	add("transport", "%s", r.Transport)
	if r.Processes > 1 {
		add("processes", "%d", r.Processes)
	}
	if len(r.Sources) > 0 {
		add("source addresses", "%s", strings.Join(r.Sources, " "))
	}
	add("connections", "%s of %s", grouped(r.Connections), grouped(r.Asked))
	add("dial rate", "%s a second", grouped(r.DialRate))
	if r.Reconnects > 0 {
		add("reconnected", "%s times", grouped(r.Reconnects))
	}
	add("messages sent", "%s of %s bytes, %d in flight on each connection", grouped(r.Sent), grouped(r.Size), r.Window)
	add("messages received", "%s", grouped(r.Received))
	add("messages a second", "%s for %.1f s", grouped(r.MessagesPerSecond), r.Seconds)
	add("latency p50", "%v", microseconds(r.Latency.P50))
	add("latency p90", "%v", microseconds(r.Latency.P90))
	add("latency p99", "%v", microseconds(r.Latency.P99))
	add("latency max", "%v", microseconds(r.Latency.Max))
	add("client CPU per message", "%.2f µs", r.CPUPerMessage)
	add(memoryLabel, "%s bytes", grouped(r.BytesPerConn))
	add("memory, all in all", "%s MB", grouped(float64(r.Resident)/1e6))
	add("errors", "%s", grouped(r.ErrorsTotal))
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		add("  "+kind, "%s", grouped(r.Errors[kind])+r.example(kind))
	}
	return rows
}

// example returns the first error of a kind, where there is more to say than the
// kind does.
func (r *report) example(kind string) string {
	if first := r.FirstErrors[kind]; first != "" {
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
