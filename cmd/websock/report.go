package main

import (
	"math"
	"time"
)

// A report is what a fanout has measured.
type report struct {
	URLs              []string         `json:"urls"`
	Server            string           `json:"server"`
	Transport         string           `json:"transport"`
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
	Latency           percentiles      `json:"latency_us"`
	CPUPerMessage     float64          `json:"cpu_us_per_message"`
	BytesPerConn      int64            `json:"bytes_per_connection"`
	Errors            map[string]int64 `json:"errors"`
	ErrorsTotal       int64            `json:"errors_total"`

	first     map[string]error // of each kind of error
	samples   []reading
	latencies *latency
}

// dialled notes the connections that came up, in the time taken.
func (r *report) dialled(f *fleet, taken time.Duration) {
	r.Connections = int(f.up.Load())
	r.DialRate = rounded(float64(r.Connections) / taken.Seconds())
}

// held notes the memory that all idle connections hold together.
func (r *report) held(bytes int64) {
	if r.Connections > 0 {
		r.BytesPerConn = max(bytes, 0) / int64(r.Connections)
	}
}

// exchanged notes the messages received in the time taken, with the CPU time used.
// Those that are in flight still don't count here.
func (r *report) exchanged(f *fleet, taken, cpu time.Duration) {
	_, received := f.totals()
	r.Seconds = rounded(taken.Seconds())
	if received > 0 {
		r.MessagesPerSecond = rounded(float64(received) / taken.Seconds())
		r.CPUPerMessage = rounded(float64(cpu.Nanoseconds()) / 1000 / float64(received))
	}
}

// ended notes what is final once all connections are closed.
func (r *report) ended(f *fleet) {
	r.Sent, r.Received = f.totals()
	r.latencies = f.latency()
	r.Latency = r.latencies.percentiles()
	r.Reconnects = f.comebacks.Load()
	r.ErrorsTotal = f.failures.total()
	r.Errors, r.first = f.failures.byKind()
}

// rounded leaves two decimals.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }
