// Package report turns the measurements of a fanout into a table, a JSON object or a web page
// with charts, and shows progress while they are taken.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
)

// A Report says what was asked for and what was measured. Its JSON form is read by other
// programs.
type Report struct {
	URLs              []string         `json:"urls"`
	Server            string           `json:"server"`
	Transport         string           `json:"transport"`
	Processes         int              `json:"processes"`
	Sources           []string         `json:"sources,omitempty"`
	Size              int              `json:"size"`
	Window            int              `json:"window"`
	Asked             int              `json:"asked"`
	Connections       int              `json:"connections"`
	DialRate          float64          `json:"dial_rate"`
	Reconnects        int64            `json:"reconnects"`
	Seconds           float64          `json:"seconds"`
	Sent              int64            `json:"sent"`
	Received          int64            `json:"received"`
	MessagesPerSecond float64          `json:"messages_per_second"`
	Latency           Percentiles      `json:"latency_us"`
	CPUPerMessage     float64          `json:"cpu_us_per_message"`
	BytesPerConn      int64            `json:"bytes_per_connection"`
	Memory            int64            `json:"resident_bytes"`
	Errors            map[string]int64 `json:"errors"`
	ErrorsTotal       int64            `json:"errors_total"`

	FirstErrors map[string]string `json:"first_errors,omitempty"` // by kind

	samples   []Sample
	latencies *Histogram
}

// SetResult fills in what a run has measured: its result, how long it dialed, and the samples
// taken meanwhile.
func (r *Report) SetResult(result Result, dialing time.Duration, samples []Sample) {
	r.Connections = int(result.Connections)
	r.DialRate = rounded(float64(r.Connections) / dialing.Seconds())
	if r.Connections > 0 {
		r.BytesPerConn = max(result.IdleMemory, 0) / int64(r.Connections)
	}
	r.Memory = result.Memory
	r.Seconds = rounded(result.Elapsed.Seconds())
	if result.Exchanged > 0 {
		r.MessagesPerSecond = rounded(float64(result.Exchanged) / result.Elapsed.Seconds())
		r.CPUPerMessage = rounded(float64(result.CPU.Nanoseconds()) / 1000 / float64(result.Exchanged))
	}
	r.Sent, r.Received, r.Reconnects = result.Final.Sent, result.Final.Received, result.Final.Reconnects
	r.Errors, r.ErrorsTotal, r.FirstErrors = result.Errors, result.Final.Errors, result.FirstErrors
	r.Latency = result.Latencies.percentiles()
	r.latencies = result.Latencies
	r.samples = samples
}

// Succeeded reports whether every message came back and nothing failed.
func (r *Report) Succeeded() bool { return r.ErrorsTotal == 0 && r.Sent == r.Received }

// rounded keeps two decimals.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// WriteTable writes the report as a table for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range r.rows() {
		fmt.Fprintf(t, "%s\t%s\n", row.Label, row.Value)
	}
	return t.Flush()
}

// MemoryLabel is the label of the memory per connection.
const MemoryLabel = "memory per idle connection (" + process.MemoryKind + ")"

// A row is a line of the table.
type row struct{ Label, Value string }

func (r *Report) rows() (rows []row) {
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
	add("connections", "%s of %s", console.Grouped(r.Connections), console.Grouped(r.Asked))
	add("dial rate", "%s a second", console.Grouped(r.DialRate))
	if r.Reconnects > 0 {
		add("reconnected", "%s times", console.Grouped(r.Reconnects))
	}
	add("messages sent", "%s of %s bytes, %d in flight on each connection", console.Grouped(r.Sent), console.Grouped(r.Size), r.Window)
	add("messages received", "%s", console.Grouped(r.Received))
	add("messages a second", "%s for %.1f s", console.Grouped(r.MessagesPerSecond), r.Seconds)
	add("latency p50", "%v", microseconds(r.Latency.P50))
	add("latency p90", "%v", microseconds(r.Latency.P90))
	add("latency p99", "%v", microseconds(r.Latency.P99))
	add("latency max", "%v", microseconds(r.Latency.Max))
	add("client CPU per message", "%.2f µs", r.CPUPerMessage)
	add(MemoryLabel, "%s bytes", console.Grouped(r.BytesPerConn))
	add("memory in total", "%s MB", console.Grouped(float64(r.Memory)/1e6))
	add("errors", "%s", console.Grouped(r.ErrorsTotal))
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		add("  "+kind, "%s", console.Grouped(r.Errors[kind])+r.firstError(kind))
	}
	return rows
}

// firstError returns the first error of a kind for the table, or "" if none was kept.
func (r *Report) firstError(kind string) string {
	if first := r.FirstErrors[kind]; first != "" {
		return ", first: " + first
	}
	return ""
}

func microseconds(µs int64) time.Duration { return time.Duration(µs) * time.Microsecond }
