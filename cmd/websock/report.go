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
	Latency           percentiles      `json:"latency_us"`
	CPUPerMessage     float64          `json:"cpu_us_per_message"`
	BytesPerConn      int64            `json:"bytes_per_connection"`
	Resident          int64            `json:"resident_bytes"`
	Errors            map[string]int64 `json:"errors"`
	ErrorsTotal       int64            `json:"errors_total"`

	FirstErrors map[string]string `json:"first_errors,omitempty"` // by kind, where there is more to say

	samples   []reading
	latencies *latency
}

// ended fills in what the crew has to show for, having dialled for so long.
func (r *report) ended(a account, dialling time.Duration) {
	r.Connections = int(a.Connections)
	r.DialRate = rounded(float64(r.Connections) / dialling.Seconds())
	if r.Connections > 0 {
		r.BytesPerConn = max(a.Held, 0) / int64(r.Connections)
	}
	r.Resident = a.Resident
	r.Seconds = rounded(a.Taken.Seconds())
	if a.Exchanged > 0 {
		r.MessagesPerSecond = rounded(float64(a.Exchanged) / a.Taken.Seconds())
		r.CPUPerMessage = rounded(float64(a.CPU.Nanoseconds()) / 1000 / float64(a.Exchanged))
	}
	r.Sent, r.Received, r.Reconnects = a.Final.Sent, a.Final.Received, a.Final.Reconnects
	r.latencies = a.Latencies
	r.Latency = a.Latencies.percentiles()
	r.Errors, r.ErrorsTotal, r.FirstErrors = a.Errors, a.Final.Errors, a.First
}

// rounded leaves two decimals.
func rounded(x float64) float64 { return math.Round(x*100) / 100 }
