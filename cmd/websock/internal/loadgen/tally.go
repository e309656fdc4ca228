package loadgen

import (
	"sync/atomic"

	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

// A tally counts what a few connections do. A Snapshot adds up the tallies, so that it need not visit
// every connection, and many connections that count at the same time seldom wait for each other.
type tally struct {
	due, unsent             atomic.Int64
	sent, sentBytes         atomic.Int64
	awaited, answered       atomic.Int64
	received, receivedBytes atomic.Int64

	latency, closedLoop, lateness, oneWay *measure.Histogram

	_ [4]uint64 // two tallies don't share a cache line
}

func newTally() *tally {
	return &tally{
		latency: measure.NewHistogram(), closedLoop: measure.NewHistogram(),
		lateness: measure.NewHistogram(), oneWay: measure.NewHistogram(),
	}
}

// countAwaited counts a message that was sent and wants an answer.
func (t *tally) countAwaited(size int) {
	t.countSent(size)
	t.awaited.Add(1)
}

// countSent counts a message that was sent. It is called after the send, so that no count has to be
// taken back: Prometheus takes a counter that shrinks for one that began anew.
func (t *tally) countSent(size int) {
	t.sent.Add(1)
	t.sentBytes.Add(int64(size))
}

// addTo adds the counts to a Snapshot.
func (t *tally) addTo(s *measure.Snapshot) {
	answered, awaited := t.answered.Load(), t.awaited.Load()
	s.Answered += min(answered, awaited) // an answer may come before the send returns
	s.Received += t.received.Load()
	s.Awaited += awaited
	s.Sent += t.sent.Load()
	s.Unsent += t.unsent.Load()
	s.Due += t.due.Load()
	s.SentBytes += t.sentBytes.Load()
	s.ReceivedBytes += t.receivedBytes.Load()
	s.Latency = s.Latency.Add(t.latency.Buckets())
	s.Lateness = s.Lateness.Add(t.lateness.Buckets())
	s.OneWay = s.OneWay.Add(t.oneWay.Buckets())
}

// mergeInto adds the histograms to a result.
func (t *tally) mergeInto(r *measure.Result) {
	r.Latencies.Merge(t.latency)
	r.ClosedLoop.Merge(t.closedLoop)
	r.Lateness.Merge(t.lateness)
	r.OneWay.Merge(t.oneWay)
}
