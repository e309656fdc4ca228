package prom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster"
)

// A Collector is a prometheus.Collector for one member of a cluster. It reads the Cluster's Stats when it
// collects. Its methods may be called from any goroutine, also after the Cluster's Shutdown.
type Collector struct {
	cluster *cluster.Cluster

	state       *prometheus.Desc
	session     *prometheus.Desc
	members     *prometheus.Desc
	rate        *prometheus.Desc
	partitions  *prometheus.Desc
	free        *prometheus.Desc
	keys        *prometheus.Desc
	moves       *prometheus.Desc
	losses      *prometheus.Desc
	ended       *prometheus.Desc
	takeover    *prometheus.Desc
	renewal     *prometheus.Desc
	failures    *prometheus.Desc
	received    *prometheus.Desc
	published   *prometheus.Desc
	duplicates  *prometheus.Desc
	retries     *prometheus.Desc
	dropped     *prometheus.Desc
	pauses      *prometheus.Desc
	paused      *prometheus.Desc
	waiting     *prometheus.Desc
	waitingSize *prometheus.Desc
	sends       *prometheus.Desc
	subscribed  *prometheus.Desc
	description []*prometheus.Desc
}

// NewCollector returns a Collector for c. labels, which may be nil, are added to all of its metrics.
// Collectors of several Clusters in one registry need the same label names with different values.
func NewCollector(c *cluster.Cluster, labels prometheus.Labels) *Collector {
	p := &Collector{cluster: c}
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		d := prometheus.NewDesc("websock_cluster_"+name, help, variable, labels)
		p.description = append(p.description, d)
		return d
	}
	p.state = desc("state", "1 for what the member is doing now.", "state")
	p.session = desc("session", "Revision with which the member has joined; 0 while it has no session.")
	p.members = desc("members", "Members that this one knows of, itself among them.")
	p.rate = desc("dial_rate", "Connections that the member may begin to open in a second.")
	p.partitions = desc("partitions", "Partitions of the member, by whether they stay or are coming or going.", "state")
	p.free = desc("free_partitions", "Partitions that no member holds.")
	p.keys = desc("keys", "Keys that the member keeps connected, by whether they have been tried.", "state")
	p.moves = desc("moves_total", "Partitions that nobody held and the member has claimed, that it received from other members, and that it handed over to them.", "kind")
	p.losses = desc("sessions_lost_total", "Sessions that the member has lost, with all of its connections.")
	p.ended = desc("members_ended_total", "Other members that have left or died.")
	p.takeover = desc("takeover_seconds", "Time from the moment at which a partition was seen to be free until all of its keys had been tried here.")
	p.renewal = desc("renewal_seconds", "Time that it took NATS to confirm a renewal of the member's lease.")
	p.failures = desc("renewal_failures_total", "Renewals of the lease that NATS has refused or not answered.")
	p.received = desc("received_messages_total", "Messages received on connections, to be published.")
	p.published = desc("published_messages_total", "Messages of which NATS has confirmed that they are published.")
	p.duplicates = desc("duplicate_messages_total", "Messages that the stream had already when it acknowledged them.")
	p.retries = desc("publish_retries_total", "Messages that were sent to NATS again.")
	p.dropped = desc("dropped_messages_total", "Messages received that won't be published, by reason.", "reason")
	p.pauses = desc("pauses_total", "Times that a connection was paused because NATS didn't keep up.")
	p.paused = desc("paused_connections", "Connections that are paused.")
	p.waiting = desc("waiting_messages", "Messages that wait to be published.")
	p.waitingSize = desc("waiting_bytes", "Size of the messages that wait to be published, and of what each costs besides.")
	p.sends = desc("sends_total", "Messages taken from NATS to be sent, by what became of them.", "outcome")
	p.subscribed = desc("subscribed_keys", "Keys for which the member takes messages from NATS.")
	return p
}

// Describe implements prometheus.Collector.
func (p *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range p.description {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *Collector) Collect(ch chan<- prometheus.Metric) {
	s := p.cluster.Stats()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	gauge(p.state, 1, s.State)
	gauge(p.session, float64(s.Session))
	gauge(p.members, float64(s.Members))
	gauge(p.rate, s.Rate)
	gauge(p.partitions, float64(s.Held), "held")
	gauge(p.partitions, float64(s.Moving), "moving")
	gauge(p.free, float64(s.Free))
	gauge(p.keys, float64(s.Keys-s.Untried), "tried")
	gauge(p.keys, float64(s.Untried), "untried")
	counter(p.moves, s.Claimed, "claimed")
	counter(p.moves, s.Received, "received")
	counter(p.moves, s.HandedOver, "handed_over")
	counter(p.losses, s.Losses)
	counter(p.ended, s.Ended)
	ch <- histogram(p.takeover, &s.Takeover)
	ch <- histogram(p.renewal, &s.Renewals.Took)
	counter(p.failures, s.Renewals.Failed)

	counter(p.received, s.Publish.Received)
	counter(p.published, s.Publish.Published)
	counter(p.duplicates, s.Publish.Duplicates)
	counter(p.retries, s.Publish.Retries)
	for reason, n := range s.Publish.Dropped {
		counter(p.dropped, n, reason.String())
	}
	counter(p.pauses, s.Publish.Pauses)
	gauge(p.paused, float64(s.Publish.Paused))
	gauge(p.waiting, float64(s.Publish.Waiting))
	gauge(p.waitingSize, float64(s.Publish.WaitingBytes))
	counter(p.sends, s.Receive.Sent, "sent")
	counter(p.sends, s.Receive.Kept, "kept")
	counter(p.sends, s.Receive.Down, "down")
	counter(p.sends, s.Receive.Refused, "refused")
	counter(p.sends, s.Receive.Lost, "lost")
	gauge(p.subscribed, float64(s.Receive.Subscribed))
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
