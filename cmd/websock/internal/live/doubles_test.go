package live

import (
	"math"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A script says what a made-up run measures.
type script struct {
	options  Options
	duration time.Duration
	each     func(at time.Duration, now *measure.Snapshot, latency func(time.Duration)) // changes what was before
	pushed   bool                                                                       // the times are those of messages on the way
	log      []string
	ending   bool
}

// play returns the state at the end of a run, from samples at every interval.
func play(s script) state {
	t := tracker{options: &s.options}
	latencies, lateness := measure.NewHistogram(), measure.NewHistogram()
	var now measure.Snapshot
	var last state
	for at := time.Duration(0); at <= s.duration; at += interval {
		s.each(at, &now, latencies.Record)
		if now.Due > 0 {
			lateness.Record(time.Duration(40_000 * wave(at, 10)))
		}
		now.Latency, now.Lateness = latencies.Buckets(), lateness.Buckets()
		if s.pushed {
			now.Latency, now.OneWay = measure.Buckets{}, latencies.Buckets()
		}
		last = t.add(measure.Sample{At: at, Snapshot: now})
	}
	last.log, last.ending = s.log, s.ending
	return last
}

// wave is a number that goes up and down around 1.
func wave(at time.Duration, period float64) float64 {
	return 1 + 0.25*math.Sin(2*math.Pi*at.Seconds()/period) + 0.05*math.Sin(20*at.Seconds())
}

// exchanging is a run over HTTP/1.1 in which a server stalls for a while and some connections fail.
var exchanging = script{
	options: Options{
		Command: "websock fanout", Servers: []string{"wss://echo.example.com/feed"},
		Details:     []string{"10,000 connections", "128 bytes", "1 in flight on each", "transport epoll"},
		Connections: 10_000, Lasts: map[string]time.Duration{"exchanging": 2 * time.Minute},
	},
	duration: 83 * time.Second,
	each: func(at time.Duration, now *measure.Snapshot, latency func(time.Duration)) {
		now.Asked = 10_000
		if at < 10*time.Second {
			now.Phase, now.Up = dialing, int64(970*at.Seconds())
			now.Connecting, now.Waiting = 128, max(10_000-now.Up-128, 0)
			return
		}
		stalled := at > 60*time.Second && at < 63*time.Second
		n := int64(13_000 * wave(at, 30))
		typical := time.Duration(2_000_000 * wave(at, 20))
		if stalled {
			n, typical = n/10, 700*time.Millisecond
		}
		now.Phase, now.Up, now.Connecting, now.Waiting, now.Ended = "exchanging", 9_731, 41, 0, 228
		now.Sent, now.Received = now.Sent+n, now.Received+n
		now.Awaited, now.Answered = now.Sent, now.Received
		now.SentBytes, now.ReceivedBytes = 128*now.Sent, 128*now.Received
		now.Errors = 241
		now.ErrorsByKind = map[string]int64{"dial refused": 200, "handshake status 503": 28, "connection lost": 9, "close code 1011": 4}
		now.Reconnects = 13
		for i := range 100 {
			latency(typical + time.Duration(i*i*i/400)*time.Microsecond)
		}
	},
}

// clustered is a member of a cluster over HTTP/2 that has a schedule.
var clustered = script{
	options: Options{
		Command: "websock fanout", Servers: []string{"wss://one.example.com/", "wss://two.example.com/"},
		Details:     []string{"6,000 connections", "128 bytes", "50,000 messages a second", "transport netpoll", "up to 100 WebSockets a connection", "cluster feed"},
		Connections: 6_000,
	},
	duration: 3721 * time.Second,
	each: func(at time.Duration, now *measure.Snapshot, latency func(time.Duration)) {
		n := int64(4200 * wave(at, 100))
		now.Phase, now.Asked, now.Up, now.Sessions, now.Streams = "exchanging", 2_011, 2_000, 20, 2_000
		now.Connecting, now.Waiting = 8, 3
		now.Sent, now.Due = now.Sent+n, now.Due+n+n/500
		now.Unsent = 71
		now.Received = now.Sent
		now.SentBytes, now.ReceivedBytes = 128*now.Sent, 128*now.Received
		now.Cluster = measure.ClusterCounts{Members: 3, Up: 5_988, Held: 86, HeldByAll: 256, TakenOver: 171, HandedOver: 85}
		latency(time.Duration(900_000 * wave(at, 60)))
		latency(time.Duration(7_000_000 * wave(at, 33)))
	},
	log: []string{
		`time=15:04:01 level=INFO msg="joined the cluster" name=feed member=a1b2c3`,
		`time=15:04:03 level=INFO msg="took over" partitions=86`,
		`time=15:04:03 level=WARN msg="connection lost: 世界 \x1b[2J"`,
	},
}

// starting is a run that has hardly begun.
var starting = script{
	options:  Options{Command: "websock fanout", Servers: []string{"ws://127.0.0.1:41234/"}, Details: []string{"1,000 connections"}, Connections: 1_000},
	duration: 500 * time.Millisecond,
	each: func(at time.Duration, now *measure.Snapshot, latency func(time.Duration)) {
		now.Phase, now.Asked, now.Up, now.Connecting = dialing, 1_000, int64(700*at.Seconds()), 128
		now.Waiting = 1_000 - now.Up - now.Connecting
	},
}

// pushed is a run that receives what a server sends, and is interrupted.
var pushed = script{
	options:  Options{Command: "websock fanout", Servers: []string{"wss://feed.example.com/世界"}, Details: []string{"100 connections"}, Connections: 100},
	duration: 3 * time.Second,
	each: func(at time.Duration, now *measure.Snapshot, latency func(time.Duration)) {
		now.Phase, now.Asked, now.Up, now.Received = "ramp up", 100, 100, now.Received+250
		latency(time.Duration(30_000_000 * wave(at, 4)))
	},
	pushed: true, ending: true,
}
