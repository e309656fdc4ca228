package report

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/process"
)

// WriteTable writes the report as a table for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range r.rows() {
		fmt.Fprintf(t, "%s\t%s\n", row.Label, row.Value)
	}
	return t.Flush()
}

// MemoryLabel is the label of the memory per connection.
const MemoryLabel = "memory per idle connection"

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
	add(unit+"s", "%s of %s%s", console.Grouped(r.Connections), console.Grouped(r.Asked), r.atMost())
	if h := r.HTTP2; h != nil {
		add("TCP connections", "%s", h.tcpConnections())
	}
	if r.opensAtOnce() {
		add("dial rate", "%s a second", console.Grouped(r.DialRate))
	}
	if r.Reconnects > 0 {
		add("reconnected", "%s times", console.Grouped(r.Reconnects))
	}
	r.addMessages(add)
	r.addScenario(add)
	r.addTimes(add)
	add("client CPU per message", "%.2f µs", r.CPUPerMessage)
	if r.opensAtOnce() {
		add("client CPU per "+unit+" opened", "%.2f µs", r.CPUPerOpen)
		add(strings.Replace(MemoryLabel, "connection", unit, 1), "%s bytes (heap and stacks)", console.Grouped(r.BytesPerConn))
	}
	add("memory in total", "%s MB ("+process.MemoryKind+")", console.Grouped(float64(r.Memory)/1e6))
	add("errors", "%s", console.Grouped(r.ErrorsTotal))
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		add("  "+kind, "%s", console.Grouped(r.Errors[kind])+r.firstError(kind))
	}
	r.addThresholds(add)
	return rows
}

// adder adds a line to the table.
type adder = func(label, format string, args ...any)

// addMessages adds how many messages there were, and how fast.
func (r *Report) addMessages(add adder) {
	add("messages sent", "%s", r.sent())
	if r.Due > 0 {
		add("messages due", "%s, %s of them never sent", console.Grouped(r.Due), console.Grouped(r.Unsent))
		add("messages sent a second", "%s", r.sentRate())
	}
	add("messages received", "%s", console.Grouped(r.Received))
	if r.Awaited > 0 && (r.Scenario != "" || r.Answered != r.Awaited) {
		add("messages answered", "%s of %s", console.Grouped(r.Answered), console.Grouped(r.Awaited))
	}
	add("messages a second", "%s for %.1f s", console.Grouped(r.MessagesPerSecond), r.Seconds)
	if r.SentBytes+r.ReceivedBytes > 0 && r.Seconds > 0 {
		before := &r.result.Before
		add("bytes a second", "%s sent, %s received",
			byteSize(float64(r.SentBytes-before.SentBytes)/r.Seconds), byteSize(float64(r.ReceivedBytes-before.ReceivedBytes)/r.Seconds))
	}
}

// sent says how many messages were sent, and which.
func (r *Report) sent() string {
	number := console.Grouped(r.Sent)
	switch {
	case r.Scenario != "":
		return number + ", those of " + r.Scenario
	case r.Mode == ModeReceive:
		return number + ": only the server sends"
	case r.isIdle():
		return number + ": connections are idle"
	}
	number += " of " + console.Grouped(r.Size) + " bytes"
	if r.AskedRate > 0 || r.Due > 0 {
		number += " by a schedule"
	} else if r.Mode != ModeSend {
		number += fmt.Sprintf(", %d in flight on each %s", r.Window, r.unit())
	}
	if r.Mode == ModeSend {
		number += ", without answers"
	}
	return number
}

// isIdle reports whether connections are only held open.
func (r *Report) isIdle() bool { return r.Window == 0 && r.AskedRate == 0 && r.Scenario == "" }

// sentRate says how fast messages were sent, and should have been.
func (r *Report) sentRate() string {
	asked := r.AskedRate
	if asked == 0 { // a schedule whose rate changes
		asked = perSecond(r.Due, r.result.Elapsed)
	}
	if asked == 0 { // no time to send
		return "0"
	}
	sent := perSecond(r.Due-r.Unsent, r.result.Elapsed)
	if r.Sent-r.result.Before.Sent != r.Due-r.Unsent { // a scenario sends more than what a schedule says
		return fmt.Sprintf("%s; %s of %s due, %.2f %%", console.Grouped(r.SentPerSecond), console.Grouped(sent), console.Grouped(asked), 100*sent/asked)
	}
	return fmt.Sprintf("%s of %s, %.2f %%", console.Grouped(sent), console.Grouped(asked), 100*sent/asked)
}

// addTimes adds how long answers took, how late messages were sent, and how long those of the server took.
func (r *Report) addTimes(add adder) {
	if r.LatencyFrom != "" || r.Mode != ModeReceive && r.Mode != ModeSend && !r.isIdle() {
		r.addLatency(add)
	}
	of := func(name string, p *measure.Percentiles) {
		if p != nil {
			add(name+" p50", "%v", microseconds(p.P50))
			add(name+" p99", "%v", microseconds(p.P99))
			add(name+" max", "%v", microseconds(p.Max))
		}
	}
	of("lateness", r.Lateness)
	of("one-way latency", r.OneWay)
}

// addLatency adds the latency of answers, and beside it what a client that waits for answers would have
// measured.
func (r *Report) addLatency(add adder) {
	if r.LatencyFrom == "" {
		answered := "no message was answered"
		if r.Scenario != "" { // those of open may be, and are not measured
			answered = `none of "messages" was answered`
		}
		add("latency", "not measured: %s", answered)
		return
	}
	closed := func(of func(*measure.Percentiles) int64) string {
		if r.ClosedLoop == nil {
			return ""
		}
		return fmt.Sprintf(", closed loop %v", microseconds(of(r.ClosedLoop)))
	}
	for _, line := range []struct {
		name string
		of   func(*measure.Percentiles) int64
	}{
		{"p50", func(p *measure.Percentiles) int64 { return p.P50 }},
		{"p90", func(p *measure.Percentiles) int64 { return p.P90 }},
		{"p99", func(p *measure.Percentiles) int64 { return p.P99 }},
		{"p99.9", func(p *measure.Percentiles) int64 { return p.P999 }},
		{"p99.99", func(p *measure.Percentiles) int64 { return p.P9999 }},
		{"max", func(p *measure.Percentiles) int64 { return p.Max }},
	} {
		add("latency "+line.name, "%v%s", microseconds(line.of(&r.Latency)), closed(line.of))
	}
}

// addThresholds adds whether each threshold held.
func (r *Report) addThresholds(add adder) {
	held := 0
	for _, t := range r.Thresholds {
		if t.Held {
			held++
		}
	}
	if len(r.Thresholds) > 0 {
		add("thresholds", "%d of %d held", held, len(r.Thresholds))
	}
	for _, t := range r.Thresholds {
		verdict := "held"
		if !t.Held {
			verdict = "NOT HELD"
		}
		add("  "+t.Threshold, "%s, %s", verdict, t.Describe())
	}
}

// byteSize formats a number of bytes with three digits or so.
func byteSize(n float64) string {
	for _, unit := range []string{"bytes", "kB", "MB"} {
		if n < 999.5 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.1f GB", n)
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
