package prom

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/seed004e8d11/websock/fanout"
)

// A TargetCollector is a prometheus.Collector for the Targets of one Group: a few metrics for each, with
// its index in Options.Targets, if it has one, and its host and source address as labels. It is apart
// from Collector since Targets may be many. Its methods may be called from any goroutine, also after the
// Group's Shutdown.
type TargetCollector struct {
	group *fanout.Group

	up      *prometheus.Desc
	healthy *prometheus.Desc
	failed  *prometheus.Desc
}

// NewTargetCollector returns a TargetCollector for g. labels are as for NewCollector.
func NewTargetCollector(g *fanout.Group, labels prometheus.Labels) *TargetCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("websock_fanout_target_"+name, help, []string{"target", "host", "source"}, labels)
	}
	return &TargetCollector{
		group:   g,
		up:      desc("slots_up", "Slots whose connection is to the target."),
		healthy: desc("healthy", "1, or 0 from a number of failures in a row until an attempt has succeeded."),
		failed:  desc("failed_total", "Attempts and connections that failed because of the target."),
	}
}

// Describe implements prometheus.Collector.
func (c *TargetCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.up
	ch <- c.healthy
	ch <- c.failed
}

// Collect implements prometheus.Collector.
func (c *TargetCollector) Collect(ch chan<- prometheus.Metric) {
	for _, t := range c.group.Targets() {
		index, healthy := "", 0.0
		if t.Index >= 0 {
			index = strconv.Itoa(t.Index)
		}
		if t.Healthy {
			healthy = 1
		}
		ch <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, float64(t.Up), index, t.Host, t.Source)
		ch <- prometheus.MustNewConstMetric(c.healthy, prometheus.GaugeValue, healthy, index, t.Host, t.Source)
		ch <- prometheus.MustNewConstMetric(c.failed, prometheus.CounterValue, float64(t.Failed), index, t.Host, t.Source)
	}
}
