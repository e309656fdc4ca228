// Package report turns the measurements of a fanout into a table, a JSON object or a web page with charts.
package report

import (
	"encoding/json"
	"io"
	"math"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/threshold"
)

// A Report says what was asked for and what was measured. Its JSON form is read by other
// programs: docs/summary.schema.json describes it.
type Report struct {
	SchemaVersion     int                 `json:"schema_version"` // SetResult sets it
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

	Mode      string  `json:"mode,omitempty"`                      // what the server does: see the constants; "": as with ModeEcho
	Scenario  string  `json:"scenario,omitempty"`                  // file that says what connections do; "": there is none
	AskedRate float64 `json:"asked_messages_per_second,omitempty"` // of all connections; 0: there is no schedule, or its rate changes

	Stages     []Stage          `json:"stages,omitempty"`      // of the scenario; nil: it has none
	Answers    []string         `json:"answers,omitempty"`     // what counts as an answer, by the scenario
	PushedTime string           `json:"pushed_time,omitempty"` // where messages have the time of sending, by the scenario
	Counted    map[string]int64 `json:"counted,omitempty"`     // received messages, by the names of the scenario

	Attempts      int64   `json:"attempts"` // to connect
	Due           int64   `json:"due"`      // messages, by the schedule
	Unsent        int64   `json:"unsent"`   // of these
	Awaited       int64   `json:"awaited"`  // of those sent: want an answer
	Answered      int64   `json:"answered"`
	SentPerSecond float64 `json:"sent_per_second"`
	SentBytes     int64   `json:"sent_bytes"` // of payload
	ReceivedBytes int64   `json:"received_bytes"`

	LatencyFrom string               `json:"latency_from,omitempty"`   // "due" with a schedule, and "sent" without; "": there is none
	ClosedLoop  *measure.Percentiles `json:"closed_loop_us,omitempty"` // nil: as Latency, or there is none
	Lateness    *measure.Percentiles `json:"lateness_us,omitempty"`    // nil: there is no schedule
	OneWay      *measure.Percentiles `json:"one_way_us,omitempty"`     // nil: no message says when it was sent

	Thresholds []threshold.Outcome `json:"thresholds,omitempty"`
	Held       *bool               `json:"thresholds_held,omitempty"` // all of them; nil: there are none

	Environment Environment `json:"-"` // the page has it

	samples []measure.Sample
	result  measure.Result
}

// SchemaVersion is that of the JSON form of a Report. It grows when a program that reads that has to
// change; keys may be added without.
const SchemaVersion = 1

// The modes of a run.
const (
	ModeEcho    = "echo"    // the server answers every message
	ModeReceive = "receive" // only the server sends
	ModeSend    = "send"    // the server answers nothing
)

// HTTP2 tells the connections from the WebSockets on them, when dialing was done. What the Report has
// for each connection is for each WebSocket.
type HTTP2 struct {
	Connections int64 `json:"connections"` // TCP connections with HTTP/2
	Streams     int64 `json:"streams"`     // WebSockets on them
	HTTP1       int64 `json:"http1"`       // WebSockets with a TCP connection each: the server offers no HTTP/2
}

// SetResult fills in what a run has measured: its result, and the samples taken meanwhile.
func (r *Report) SetResult(result measure.Result, samples []measure.Sample) {
	r.Connections = int(result.Connections)
	if r.opensAtOnce() {
		r.DialRate = perSecond(result.Connections, result.Dialing)
	}
	if r.Connections > 0 {
		r.BytesPerConn = max(result.IdleMemory, 0) / int64(r.Connections)
		r.CPUPerOpen = cpuOfEach(result.DialCPU, result.Connections)
	}
	if r.StreamsAsked > 0 {
		r.HTTP2 = &HTTP2{result.Sessions, result.Streams, max(result.Connections-result.Streams, 0)}
	}
	r.Memory = result.Memory
	r.Seconds = rounded(result.Elapsed.Seconds())
	if result.Exchanged > 0 {
		r.MessagesPerSecond = perSecond(result.Exchanged, result.Elapsed)
		r.CPUPerMessage = cpuOfEach(result.CPU, result.Exchanged)
	}
	r.Sent, r.Received, r.Reconnects = result.Final.Sent, result.Final.Received, result.Final.Reconnects
	r.Errors, r.ErrorsTotal, r.FirstErrors = result.Errors, result.Final.Errors, result.FirstErrors
	r.Latency = result.Latencies.Percentiles()
	r.Counted = result.Counted
	r.result, r.samples = result, samples
	r.setSchedule(result)
	r.SchemaVersion = SchemaVersion
}

// setSchedule fills in what became of the messages that were due, and how long they took.
func (r *Report) setSchedule(result measure.Result) {
	last := result.Final
	r.Attempts, r.Due, r.Unsent, r.Awaited, r.Answered = last.Attempts, last.Due, last.Unsent, last.Awaited, last.Answered
	r.SentBytes, r.ReceivedBytes = last.SentBytes, last.ReceivedBytes
	r.SentPerSecond = perSecond(last.Sent-result.Before.Sent, result.Elapsed)
	r.ClosedLoop, r.Lateness, r.OneWay = percentiles(result.ClosedLoop), percentiles(result.Lateness), percentiles(result.OneWay)
	switch {
	case result.Latencies.Count() == 0:
	case r.Lateness != nil:
		r.LatencyFrom = "due"
	default:
		r.LatencyFrom = "sent"
	}
}

// percentiles returns those of h, or nil if it is empty.
func percentiles(h *measure.Histogram) *measure.Percentiles {
	if h.Count() == 0 {
		return nil
	}
	p := h.Percentiles()
	return &p
}

// Judge fills in whether the thresholds held, of which there is at least one, and reports whether all did.
func (r *Report) Judge(thresholds []threshold.Threshold) bool {
	run := threshold.Run{Result: r.result, Asked: r.Asked, AskedRate: r.AskedRate}
	if r.opensAtOnce() {
		run.Dialing = r.result.Dialing
	}
	held := true
	for _, t := range thresholds {
		outcome := t.Check(&run)
		r.Thresholds = append(r.Thresholds, outcome)
		held = held && outcome.Held
	}
	r.Held = &held
	return held
}

// Succeeded reports whether every message that wants an answer got one, and nothing failed.
func (r *Report) Succeeded() bool {
	return r.ErrorsTotal == 0 && r.Awaited == r.Answered && (r.Cluster == nil || r.Cluster.succeeded())
}

// perSecond returns how many of n things there were a second, and 0 if they took no time.
func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return rounded(float64(n) / d.Seconds())
}

// cpuOfEach returns how many microseconds of CPU time each of n things took. What runs aside is left out of the
// time, and the kernel may count that later: little time may look like less than none.
func cpuOfEach(cpu time.Duration, n int64) float64 {
	return rounded(float64(max(cpu, 0).Nanoseconds()) / 1000 / float64(n))
}

// rounded keeps two decimals.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }
