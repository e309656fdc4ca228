package threshold

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A Run is what was asked for and what was measured.
type Run struct {
	measure.Result
	Asked     int           // connections
	AskedRate float64       // messages a second of all connections; 0: that at which they were due
	Dialing   time.Duration // until every connection had been attempted; 0: they come and go
}

// times are those of a Histogram.
type times interface {
	Count() int64
	Quantile(q float64) time.Duration
	Min() time.Duration
	Mean() time.Duration
	Max() time.Duration
}

// A figure is what a Threshold limits: times, a number, or numbers with names.
type figure struct {
	times   func(*Run) times
	number  func(*Run) (value float64, ok bool)
	named   func(r *Run, name string) (value float64, ok bool) // a number for each name
	missing string                                             // why there are no times, or no number

	part    func(*Run) float64 // what is a percentage; nil: the number
	whole   func(*Run) float64 // what percentages are of; nil: it has none
	noWhole string             // why that is 0
}

const (
	noSchedule = "no rate of messages was asked for"
	noExchange = "no messages were exchanged"
	nothingDue = "no message was due"
)

// figures has all figures by name.
var figures = map[string]*figure{
	"latency":     {times: func(r *Run) times { return r.Latencies }, missing: "no message was answered"},
	"closed_loop": {times: func(r *Run) times { return r.ClosedLoop }, missing: "there is no schedule that it could differ from, or no message was answered"},
	"lateness":    {times: func(r *Run) times { return r.Lateness }, missing: "no message was sent by a schedule"},
	"one_way":     {times: func(r *Run) times { return r.OneWay }, missing: "no message came that says when it was sent"},

	"errors": {
		number:  always(func(r *Run) int64 { return r.Final.Errors }),
		whole:   operations,
		noWhole: "nothing was attempted",
	},
	"connections": {
		number:  always(func(r *Run) int64 { return r.Connections }),
		whole:   func(r *Run) float64 { return float64(r.Asked) },
		noWhole: "no connections were asked for",
	},
	"reconnects": {number: always(func(r *Run) int64 { return r.Final.Reconnects })},
	"dial_rate": {
		number:  func(r *Run) (float64, bool) { return perSecond(r.Connections, r.Dialing) },
		missing: "connections come and go, in a cluster or by stages",
	},
	"message_rate": {
		number:  func(r *Run) (float64, bool) { return perSecond(r.Exchanged, r.Elapsed) },
		missing: noExchange,
		whole:   askedRate,
		noWhole: noSchedule,
	},
	"sent_rate": {
		number:  func(r *Run) (float64, bool) { return perSecond(r.Final.Sent-r.Before.Sent, r.Elapsed) },
		missing: noExchange,
		part:    scheduledRate,
		whole:   dueRate,
		noWhole: noSchedule,
	},
	"sent":     {number: always(func(r *Run) int64 { return r.Final.Sent }), part: scheduled, whole: due, noWhole: nothingDue},
	"unsent":   {number: always(func(r *Run) int64 { return r.Final.Unsent }), whole: due, noWhole: nothingDue},
	"received": {number: always(func(r *Run) int64 { return r.Final.Received })},
	"counted": {
		named: func(r *Run, name string) (float64, bool) {
			n, ok := r.Counted[name]
			return float64(n), ok
		},
		missing: "the scenario counts no messages of this name",
	},
	"answered": {
		number:  always(func(r *Run) int64 { return r.Final.Answered }),
		whole:   func(r *Run) float64 { return float64(r.Final.Awaited) },
		noWhole: "no message was sent that wants an answer",
	},
}

// figureNames returns the names of all figures for people.
func figureNames() string { return strings.Join(slices.Sorted(maps.Keys(figures)), ", ") }

// always returns what has a number in every run.
func always(count func(*Run) int64) func(*Run) (float64, bool) {
	return func(r *Run) (float64, bool) { return float64(count(r)), true }
}

func perSecond(n int64, d time.Duration) (float64, bool) {
	if d <= 0 {
		return 0, false
	}
	return float64(n) / d.Seconds(), true
}

// operations returns how many things could fail: attempts to connect, messages that are sent, with their
// answers, and messages that come without being asked for.
func operations(r *Run) float64 {
	return float64(r.Final.Attempts + r.Final.Sent + r.Final.Received - r.Final.Answered)
}

// askedRate returns the rate of messages that was asked for, and 0 if a scenario sends more than a schedule says.
func askedRate(r *Run) float64 {
	if r.AskedRate == 0 && r.Final.Sent > r.Final.Due {
		return 0
	}
	return dueRate(r)
}

// dueRate returns the rate of the messages that have a schedule.
func dueRate(r *Run) float64 {
	if r.AskedRate > 0 {
		return r.AskedRate
	}
	rate, _ := perSecond(r.Final.Due, r.Elapsed)
	return rate
}

// scheduled returns how many messages were sent because they were due: a scenario sends others, too, which
// must not stand in for them.
func scheduled(r *Run) float64 { return float64(r.Final.Due - r.Final.Unsent) }

func scheduledRate(r *Run) float64 {
	rate, _ := perSecond(r.Final.Due-r.Final.Unsent, r.Elapsed)
	return rate
}

func due(r *Run) float64 { return float64(r.Final.Due) }
