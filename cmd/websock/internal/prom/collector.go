// Package prom serves what a run measures to Prometheus while it runs.
package prom

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A collector is a prometheus.Collector that takes one Snapshot for all metrics. Metrics that fanout/prom
// has, too, are named as there.
type collector struct {
	snapshot func() measure.Snapshot
	all      []*prometheus.Desc

	phase, asked, connections    *prometheus.Desc
	sessions, streams            *prometheus.Desc
	attempts, reconnects, errors *prometheus.Desc
	due, unsent, messages        *prometheus.Desc
	awaited, answered, payload   *prometheus.Desc
	latency, lateness, oneWay    *prometheus.Desc
}

func newCollector(snapshot func() measure.Snapshot) *collector {
	c := &collector{snapshot: snapshot}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		d := prometheus.NewDesc("websock_load_"+name, help, labels, nil)
		c.all = append(c.all, d)
		return d
	}
	c.phase = desc("phase", "1 for what the run does now.", "phase")
	c.asked = desc("asked_connections", "Connections that there should be now, in any state.")
	c.connections = desc("connections", "Connections by state; ended: failed or lost, and not dialed again.", "state")
	c.sessions = desc("http2_connections", "HTTP/2 connections.")
	c.streams = desc("http2_streams", "WebSockets on them.")
	c.attempts = desc("attempts_total", "Attempts to connect that have ended.")
	c.reconnects = desc("reconnects_total", "Connections that replaced one that was lost.")
	c.errors = desc("errors_total", "Failures, by kind.", "kind")
	c.due = desc("due_messages_total", "Messages that a schedule wanted sent by now.")
	c.unsent = desc("unsent_messages_total", "Of these, messages that will never be sent.")
	c.messages = desc("messages_total", "Messages sent and received.", "direction")
	c.awaited = desc("awaited_messages_total", "Messages sent that want an answer.")
	c.answered = desc("answered_messages_total", "Of these, messages that got it.")
	c.payload = desc("payload_bytes_total", "Payload of messages sent and received.", "direction")
	c.latency = desc("latency_seconds", "Latency of answers: from when a message was due, or sent if there is no schedule. The sum is estimated.")
	c.lateness = desc("lateness_seconds", "Time from when a message was due until it was sent. The sum is estimated.")
	c.oneWay = desc("one_way_seconds", "Latency of received messages that say when they were sent. The sum is estimated.")
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.all {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.snapshot()
	gauge := func(d *prometheus.Desc, value int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	if s.Phase != "" {
		gauge(c.phase, 1, strings.ToValidUTF8(s.Phase, "?")) // of a file; a label that isn't UTF-8 would panic
	}
	gauge(c.asked, s.Asked)
	gauge(c.connections, s.Waiting, "waiting")
	gauge(c.connections, s.Connecting, "connecting")
	gauge(c.connections, s.Up, "up")
	gauge(c.connections, s.Ended, "ended")
	gauge(c.sessions, s.Sessions)
	gauge(c.streams, s.Streams)
	counter(c.attempts, s.Attempts)
	counter(c.reconnects, s.Reconnects)
	for kind, n := range s.ErrorsByKind {
		counter(c.errors, n, kind)
	}
	counter(c.due, s.Due)
	counter(c.unsent, s.Unsent)
	counter(c.messages, s.Sent, "sent")
	counter(c.messages, s.Received, "received")
	counter(c.awaited, s.Awaited)
	counter(c.answered, s.Answered)
	counter(c.payload, s.SentBytes, "sent")
	counter(c.payload, s.ReceivedBytes, "received")
	ch <- histogram(c.latency, s.Latency)
	ch <- histogram(c.lateness, s.Lateness)
	ch <- histogram(c.oneWay, s.OneWay)
}

// bounds are the upper bounds of the buckets of all histograms, two for each doubling from 32 µs to 34 s. They
// are bounds of measure.Buckets, too.
var bounds = func() (all []time.Duration) {
	for bound := 32 * time.Microsecond; bound < time.Minute/2; bound *= 2 {
		all = append(all, bound, bound/2*3)
	}
	return append(all, 2*all[len(all)-2])
}()

// histogram converts b. A bucket of Prometheus also counts what is in the buckets below.
func histogram(d *prometheus.Desc, b measure.Buckets) prometheus.Metric {
	buckets := make(map[float64]uint64, len(bounds))
	for _, bound := range bounds {
		buckets[bound.Seconds()] = 0
	}
	at, below := 0, uint64(0)
	for lower, n := range b.All() {
		for ; at < len(bounds) && bounds[at] <= lower; at++ {
			buckets[bounds[at].Seconds()] = below
		}
		below += uint64(n)
	}
	for ; at < len(bounds); at++ {
		buckets[bounds[at].Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(d, below, b.Seconds(), buckets)
}
