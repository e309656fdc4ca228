package compare

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A figure is a number that both results may have.
type figure struct {
	key    string
	label  string
	format func(float64) string
	better direction

	zero   zero
	needed bool // a run that doesn't have it is worse than one that does
	judge  bool // it decides whether the later run is worse, unless other figures are named
}

// A direction says when a figure is better.
type direction int

const (
	neither direction = 0
	higher  direction = 1
	lower   direction = -1
)

// A zero says what 0 means.
type zero int

const (
	isValue   zero = iota
	isUnknown      // it was not measured
)

var figures = []figure{
	{key: "connections", label: "connections", format: grouped, better: higher, judge: true},
	{key: "dial_rate", label: "dial rate", format: grouped, better: higher},
	{key: "reconnects", label: "reconnected", format: grouped, better: lower},
	{key: "seconds", label: "seconds", format: decimals},
	{key: "sent", label: "messages sent", format: grouped},
	{key: "received", label: "messages received", format: grouped},
	{key: "answered", label: "messages answered", format: grouped, better: higher},
	{key: "unsent", label: "messages never sent", format: grouped, better: lower, judge: true},
	{key: "messages_per_second", label: "messages a second", format: grouped, better: higher, judge: true},
	{key: "sent_per_second", label: "messages sent a second", format: grouped, better: higher},
	{key: "latency_us.p50", label: "latency p50", format: duration, better: lower, zero: isUnknown, needed: true, judge: true},
	{key: "latency_us.p90", label: "latency p90", format: duration, better: lower, zero: isUnknown, needed: true, judge: true},
	{key: "latency_us.p99", label: "latency p99", format: duration, better: lower, zero: isUnknown, needed: true, judge: true},
	{key: "latency_us.p99.9", label: "latency p99.9", format: duration, better: lower, zero: isUnknown},
	{key: "latency_us.p99.99", label: "latency p99.99", format: duration, better: lower, zero: isUnknown},
	{key: "latency_us.max", label: "latency max", format: duration, better: lower, zero: isUnknown},
	{key: "closed_loop_us.p50", label: "closed loop p50", format: duration, better: lower, zero: isUnknown},
	{key: "closed_loop_us.p99", label: "closed loop p99", format: duration, better: lower, zero: isUnknown},
	{key: "lateness_us.p50", label: "lateness p50", format: duration, better: lower},
	{key: "lateness_us.p99", label: "lateness p99", format: duration, better: lower},
	{key: "lateness_us.max", label: "lateness max", format: duration, better: lower},
	{key: "one_way_us.p50", label: "one-way latency p50", format: duration, better: lower, needed: true, judge: true},
	{key: "one_way_us.p99", label: "one-way latency p99", format: duration, better: lower, needed: true, judge: true},
	{key: "one_way_us.max", label: "one-way latency max", format: duration, better: lower},
	{key: "cpu_us_per_message", label: "CPU µs per message", format: decimals, better: lower, zero: isUnknown, judge: true},
	{key: "cpu_us_per_open", label: "CPU µs per opening", format: decimals, better: lower, zero: isUnknown},
	{key: "bytes_per_connection", label: "bytes per connection", format: grouped, better: lower, zero: isUnknown, judge: true},
	{key: "resident_bytes", label: "memory in total", format: grouped, better: lower, zero: isUnknown},
	{key: "errors_total", label: "errors", format: grouped, better: lower, judge: true},
}

func grouped(n float64) string  { return console.Grouped(n) }
func decimals(n float64) string { return fmt.Sprintf("%.2f", n) }

func duration(µs float64) string { return time.Duration(µs * float64(time.Microsecond)).String() }

// CheckFigure returns an error if there is no figure with this key that is better when it is higher or
// lower.
func CheckFigure(key string) error {
	var keys []string
	for i := range figures {
		if figures[i].better != neither {
			keys = append(keys, figures[i].key)
		}
	}
	if !slices.Contains(keys, key) {
		return fmt.Errorf("there is no figure %q; there are: %s", key, strings.Join(keys, ", "))
	}
	return nil
}

// value returns the figure of a run, and false if it was not measured.
func (f *figure) value(s Summary) (float64, bool) {
	n, ok := s.number(f.key)
	return n, ok && !(n == 0 && f.zero != isValue)
}

// options are what can be asked for, with their labels.
var options = []struct{ key, label string }{
	{"server", "server"},
	{"urls", "URLs"},
	{"transport", "transport"},
	{"streams_per_connection", "WebSockets a connection"},
	{"processes", "processes"},
	{"sources", "source addresses"},
	{"asked", "connections"},
	{"mode", "mode"},
	{"scenario", "scenario"},
	{"asked_messages_per_second", "messages a second"},
	{"size", "bytes of a message"},
	{"window", "messages in flight"},
}

// defaults are the values of options that a result of an older version lacks.
var defaults = map[string]string{"mode": "echo"}
