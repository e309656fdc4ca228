package report

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// stalledRun returns the report of a run by a schedule of 1,000 messages a second, by a server that stalls
// for 2 s in the middle of 10 s. Some of the 100 connections fail.
func stalledRun() *Report {
	random := rand.New(rand.NewPCG(1, 2))
	result := measure.NewResult()
	var now measure.Snapshot
	var samples []measure.Sample
	oneWay := func() time.Duration {
		return time.Duration(math.Exp(random.NormFloat64()*0.5) * float64(300*time.Microsecond))
	}
	for at := time.Duration(0); at <= 12*time.Second; at += measure.SampleInterval {
		tenths := int64(at / measure.SampleInterval)
		now.Asked = 100
		switch {
		case tenths < 10:
			now.Phase, now.Up, now.Connecting = "dialing", 9*tenths, 10
			now.Waiting = 100 - now.Up - now.Connecting
		case tenths < 110:
			now.Phase, now.Up, now.Connecting, now.Waiting, now.Ended = "exchanging", 95, 0, 0, 5
			now.Due += 100
			if tenths < 50 || tenths >= 70 {
				n := int64(100)
				for range n {
					d := oneWay()
					result.Latencies.Record(2 * d)
					result.ClosedLoop.Record(2 * d)
					result.OneWay.Record(d)
					result.Lateness.Record(d / 20)
				}
				if tenths == 70 {
					for i := range 2000 {
						result.Latencies.Record(time.Duration(i) * time.Millisecond)
					}
					result.ClosedLoop.Record(2 * time.Second)
					n += 2000
				}
				now.Answered += n
				now.Received += n
			}
			now.Sent += 100
			now.Awaited = now.Sent
			if tenths == 60 {
				result.Errors = map[string]int64{"dial timeout": 2, "close code 1011": 3}
				now.Errors = 5
			}
		case tenths < 115:
			now.Phase = "draining"
		default:
			now.Phase, now.Up, now.Ended = "closing", 0, 100
		}
		s := now
		if now.Errors > 0 {
			s.ErrorsByKind = map[string]int64{"dial timeout": 2, "close code 1011": 3}
		}
		s.Latency, s.OneWay, s.Lateness = result.Latencies.Buckets(), result.OneWay.Buckets(), result.Lateness.Buckets()
		samples = append(samples, measure.Sample{At: at, Snapshot: s})
	}
	result.Final = samples[len(samples)-1].Snapshot
	result.Connections, result.Exchanged, result.Elapsed = 95, result.Final.Received, 10*time.Second
	r := &Report{URLs: []string{"wss://user:secret@example.com/feed?token=secret"}, Server: "given", Transport: "epoll", Processes: 1, Asked: 100, Size: 128, AskedRate: 1000}
	r.Environment = Environment{Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Version: "v1.2.3", Args: []string{
		"fanout", "-url", "wss://user:secret@example.com/feed?token=secret", "-header", "Authorization: Bearer secret", "-n", "100", "-threshold", "latency.p99<200ms",
	}}
	result.Dialing = time.Second
	r.SetResult(result, samples)
	return r
}
