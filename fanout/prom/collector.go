package prom

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/seed004e8d11/websock/fanout"
)

// A Collector is a prometheus.Collector for one Group. It reads the Group's Stats when it collects. Its
// methods may be called from any goroutine, also after the Group's Shutdown.
type Collector struct {
	group *fanout.Group

	slots       *prometheus.Desc
	attempts    *prometheus.Desc
	connected   *prometheus.Desc
	ready       *prometheus.Desc
	failed      *prometheus.Desc
	lost        *prometheus.Desc
	pings       *prometheus.Desc
	timeouts    *prometheus.Desc
	topics      *prometheus.Desc
	subscribed  *prometheus.Desc
	broadcasts  *prometheus.Desc
	publishes   *prometheus.Desc
	passedOver  *prometheus.Desc
	dropped     *prometheus.Desc
	messages    *prometheus.Desc
	payload     *prometheus.Desc
	wire        *prometheus.Desc
	deflate     *prometheus.Desc
	inflate     *prometheus.Desc
	sessions    *prometheus.Desc
	streams     *prometheus.Desc
	waiting     *prometheus.Desc
	handshake   *prometheus.Desc
	roundTrip   *prometheus.Desc
	description []*prometheus.Desc
}

// NewCollector returns a Collector for g. labels, which may be nil, are added to all of its metrics.
// Collectors of several Groups in one registry need the same label names with different values.
func NewCollector(g *fanout.Group, labels prometheus.Labels) *Collector {
	c := &Collector{group: g}
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		d := prometheus.NewDesc("websock_fanout_"+name, help, variable, labels)
		c.description = append(c.description, d)
		return d
	}
	c.slots = desc("slots", "Slots by what they are doing; ending: those that were removed and have not ended.", "state")
	c.attempts = desc("attempts_total", "Attempts to connect that have begun.")
	c.connected = desc("connected_total", "Opening handshakes done.")
	c.ready = desc("ready_total", "Connections that came up, OnConnect included.")
	c.failed = desc("failed_total", "Attempts that failed, by reason.", "reason")
	c.lost = desc("lost_total", "Connections lost that had been up, by close code; 1006 without one.", "code")
	c.pings = desc("pings_sent_total", "Pings sent.")
	c.timeouts = desc("ping_timeouts_total", "Connections aborted because nothing was received after a ping.")
	c.topics = desc("topics", "Topics to which slots are subscribed.")
	c.subscribed = desc("subscriptions", "Subscriptions of all slots to all topics.")
	c.broadcasts = desc("broadcasts_total", "Messages sent to all slots or to those that a function chose.")
	c.publishes = desc("publishes_total", "Messages published to a topic.")
	c.passedOver = desc("broadcast_passed_over_total", "Slots that broadcasts and publishes passed over, by reason.", "reason")
	c.dropped = desc("dropped_messages_total", "Messages kept for a connection, and not sent.")
	c.messages = desc("messages_total", "Messages sent and received.", "direction")
	c.payload = desc("payload_bytes_total", "Payload of data frames sent and received.", "direction")
	c.wire = desc("wire_bytes_total", "Bytes sent and received, frame headers included, TLS and TCP not.", "direction")
	c.deflate = desc("deflate_bytes_total", "Payload of compressed messages sent, before and after compressing.", "stage")
	c.inflate = desc("inflate_bytes_total", "Payload of compressed messages received, before and after inflating.", "stage")
	c.sessions = desc("http2_connections", "HTTP/2 connections of all Muxes, by what they are doing.", "state")
	c.streams = desc("http2_streams", "WebSockets that are open on them, or being opened.")
	c.waiting = desc("http2_waiting", "Attempts that wait until a Mux has a free stream.")
	c.handshake = desc("handshake_seconds", "Time from the beginning of an attempt to the end of its opening handshake.")
	c.roundTrip = desc("round_trip_seconds", "Time between ping and pong.")
	return c
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.description {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.group.Stats()
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	gauge(c.slots, s.Waiting, fanout.Waiting.String())
	gauge(c.slots, s.Connecting, fanout.Connecting.String())
	gauge(c.slots, s.Up, fanout.Up.String())
	gauge(c.slots, s.Stopped, fanout.Stopped.String())
	gauge(c.slots, s.Ending, "ending")
	counter(c.attempts, s.Attempts)
	counter(c.connected, s.Connected)
	counter(c.ready, s.Ready)
	for reason, n := range s.Failed {
		counter(c.failed, n, string(reason))
	}
	for code, n := range s.Lost {
		counter(c.lost, n, strconv.Itoa(int(code)))
	}
	counter(c.pings, s.PingsSent)
	counter(c.timeouts, s.PingTimeouts)
	gauge(c.topics, s.Topics)
	gauge(c.subscribed, s.Subscriptions)
	counter(c.broadcasts, s.Broadcasts)
	counter(c.publishes, s.Publishes)
	counter(c.passedOver, s.BroadcastsRefused, "refused")
	counter(c.passedOver, s.BroadcastsDown, "down")
	counter(c.dropped, s.Dropped)
	counter(c.messages, s.Traffic.MessagesSent, "sent")
	counter(c.messages, s.Traffic.MessagesReceived, "received")
	counter(c.payload, s.Traffic.PayloadSent, "sent")
	counter(c.payload, s.Traffic.PayloadReceived, "received")
	counter(c.wire, s.Traffic.WireSent, "sent")
	counter(c.wire, s.Traffic.WireReceived, "received")
	counter(c.deflate, s.Traffic.BeforeDeflate, "before")
	counter(c.deflate, s.Traffic.AfterDeflate, "after")
	counter(c.inflate, s.Traffic.BeforeInflate, "before")
	counter(c.inflate, s.Traffic.AfterInflate, "after")
	gauge(c.sessions, s.Mux.Dialing, "dialing")
	gauge(c.sessions, s.Mux.Conns, "open")
	gauge(c.streams, s.Mux.Streams)
	gauge(c.waiting, s.Mux.Waiting)
	ch <- histogram(c.handshake, &s.Handshake)
	ch <- histogram(c.roundTrip, &s.RoundTrip)
}

// histogram converts h. A bucket of Prometheus also counts what is in the buckets below.
func histogram(d *prometheus.Desc, h *fanout.Histogram) prometheus.Metric {
	buckets := map[float64]uint64{}
	below := uint64(0)
	for i, n := range h.Buckets[:len(h.Buckets)-1] { // the last one has no bound
		below += n
		buckets[h.Bound(i).Seconds()] = below
	}
	return prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), buckets)
}
