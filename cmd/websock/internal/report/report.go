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
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
)

// A Report says what was asked for and what was measured. Its JSON form is read by other
// programs.
type Report struct {
	URLs              []string            `json:"urls"`
	Server            string              `json:"server"`
	Transport         string              `json:"transport"`
	Processes         int                 `json:"processes"`
	Sources           []string            `json:"sources,omitempty"`
	Size              int                 `json:"size"`
	Window            int                 `json:"window"`
	Asked             int                 `json:"asked"`
	Connections       int                 `json:"connections"`
	DialRate          float64             `json:"dial_rate"`
	Reconnects        int64               `json:"reconnects"`
	Seconds           float64             `json:"seconds"`
	Sent              int64               `json:"sent"`
	Received          int64               `json:"received"`
	MessagesPerSecond float64             `json:"messages_per_second"`
	Latency           measure.Percentiles `json:"latency_us"`
	CPUPerMessage     float64             `json:"cpu_us_per_message"`
	CPUPerOpen        float64             `json:"cpu_us_per_open"`
	BytesPerConn      int64               `json:"bytes_per_connection"`
	Memory            int64               `json:"resident_bytes"`
	Errors            map[string]int64    `json:"errors"`
	ErrorsTotal       int64               `json:"errors_total"`

	FirstErrors map[string]string `json:"first_errors,omitempty"` // by kind

	StreamsAsked int    `json:"streams_per_connection,omitempty"` // at most; 0: HTTP/2 was not asked for
	HTTP2        *HTTP2 `json:"http2,omitempty"`                  // nil: it was not asked for

	Cluster *Cluster `json:"cluster,omitempty"` // nil: the process was no member of one

	samples []measure.Sample
	result  measure.Result
}

// HTTP2 tells the connections from the WebSockets on them, when dialing was done. What the Report has
// for each connection is for each WebSocket.
type HTTP2 struct {
	Connections int64 `json:"connections"` // TCP connections with HTTP/2
	Streams     int64 `json:"streams"`     // WebSockets on them
	HTTP1       int64 `json:"http1"`       // WebSockets with a TCP connection each: the server offers no HTTP/2
}

// SetResult fills in what a run has measured: its result, how long it dialed, and the samples
// taken meanwhile.
func (r *Report) SetResult(result measure.Result, dialing time.Duration, samples []measure.Sample) {
	r.Connections = int(result.Connections)
	if r.Cluster == nil {
		r.DialRate = rounded(float64(r.Connections) / dialing.Seconds())
	}
	if r.Connections > 0 {
		r.BytesPerConn = max(result.IdleMemory, 0) / int64(r.Connections)
		r.CPUPerOpen = rounded(float64(result.DialCPU.Nanoseconds()) / 1000 / float64(r.Connections))
	}
	if r.StreamsAsked > 0 {
		r.HTTP2 = &HTTP2{result.Sessions, result.Streams, max(result.Connections-result.Streams, 0)}
	}
	r.Memory = result.Memory
	r.Seconds = rounded(result.Elapsed.Seconds())
	if result.Exchanged > 0 {
		r.MessagesPerSecond = rounded(float64(result.Exchanged) / result.Elapsed.Seconds())
		r.CPUPerMessage = rounded(float64(result.CPU.Nanoseconds()) / 1000 / float64(result.Exchanged))
	}
	r.Sent, r.Received, r.Reconnects = result.Final.Sent, result.Final.Received, result.Final.Reconnects
	r.Errors, r.ErrorsTotal, r.FirstErrors = result.Errors, result.Final.Errors, result.FirstErrors
	r.Latency = result.Latencies.Percentiles()
	r.result = result
	r.samples = samples
}

// Succeeded reports whether every message came back and nothing failed.
func (r *Report) Succeeded() bool {
	return r.ErrorsTotal == 0 && r.Sent == r.Received && (r.Cluster == nil || r.Cluster.succeeded())
}

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
	unit := r.unit()
	add("server", "%s (%s)", strings.Join(r.URLs, " "), r.Server)
	add("transport", "%s", r.Transport)
	if r.HTTP2 != nil {
		add("protocol", "%s", r.protocol())
	}
	if r.Processes > 1 {
		add("processes", "%d", r.Processes)
	}
	if len(r.Sources) > 0 {
		add("source addresses", "%s", strings.Join(r.Sources, " "))
	}
	if r.Cluster != nil {
		r.Cluster.addRows(add)
	}
	add(unit+"s", "%s of %s", console.Grouped(r.Connections), console.Grouped(r.Asked))
	if h := r.HTTP2; h != nil {
		add("TCP connections", "%s", h.tcpConnections())
	}
	if r.Cluster == nil {
		add("dial rate", "%s a second", console.Grouped(r.DialRate))
	}
	if r.Reconnects > 0 {
		add("reconnected", "%s times", console.Grouped(r.Reconnects))
	}
	add("messages sent", "%s of %s bytes, %d in flight on each %s", console.Grouped(r.Sent), console.Grouped(r.Size), r.Window, unit)
	add("messages received", "%s", console.Grouped(r.Received))
	add("messages a second", "%s for %.1f s", console.Grouped(r.MessagesPerSecond), r.Seconds)
	add("latency p50", "%v", microseconds(r.Latency.P50))
	add("latency p90", "%v", microseconds(r.Latency.P90))
	add("latency p99", "%v", microseconds(r.Latency.P99))
	add("latency max", "%v", microseconds(r.Latency.Max))
	add("client CPU per message", "%.2f µs", r.CPUPerMessage)
	if r.Cluster == nil {
		add("client CPU per "+unit+" opened", "%.2f µs", r.CPUPerOpen)
		add(strings.Replace(MemoryLabel, "connection", unit, 1), "%s bytes", console.Grouped(r.BytesPerConn))
	}
	add("memory in total", "%s MB", console.Grouped(float64(r.Memory)/1e6))
	add("errors", "%s", console.Grouped(r.ErrorsTotal))
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		add("  "+kind, "%s", console.Grouped(r.Errors[kind])+r.firstError(kind))
	}
	return rows
}

// unit returns what the numbers are of.
func (r *Report) unit() string {
	if r.HTTP2 != nil {
		return "WebSocket"
	}
	return "connection"
}

// protocol says over which version of HTTP the WebSockets are.
func (r *Report) protocol() string {
	const declined = "the server offers no WebSockets over HTTP/2"
	switch h := r.HTTP2; {
	case h.HTTP1 == 0:
		return fmt.Sprintf("HTTP/2, up to %s WebSockets a connection", console.Grouped(r.StreamsAsked))
	case h.Streams == 0:
		return "HTTP/1.1: " + declined
	default:
		return fmt.Sprintf("HTTP/2, up to %s WebSockets a connection; HTTP/1.1 for %s WebSockets: %s",
			console.Grouped(r.StreamsAsked), console.Grouped(h.HTTP1), strings.Replace(declined, "the server", "their server", 1))
	}
}

// tcpConnections says how many connections carry how many WebSockets.
func (h *HTTP2) tcpConnections() string {
	var parts []string
	if h.Connections > 0 {
		parts = append(parts, fmt.Sprintf("%s with HTTP/2 for %s WebSockets", console.Grouped(h.Connections), console.Grouped(h.Streams)))
	}
	if h.HTTP1 > 0 {
		parts = append(parts, console.Grouped(h.HTTP1)+" with HTTP/1.1")
	}
	if parts == nil {
		return "0"
	}
	return strings.Join(parts, ", ")
}

// firstError returns the first error of a kind for the table, or "" if none was kept.
func (r *Report) firstError(kind string) string {
	if first := r.FirstErrors[kind]; first != "" {
		return ", first: " + first
	}
	return ""
}

func microseconds(µs int64) time.Duration { return time.Duration(µs) * time.Microsecond }
