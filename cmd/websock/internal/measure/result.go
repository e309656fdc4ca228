package measure

import "time"

// A Result is what a run has measured in the end. Worker processes send theirs as JSON.
type Result struct {
	Connections int64             // WebSockets that were open when dialing was done
	Sessions    int64             // HTTP/2 connections that were open then
	Streams     int64             // WebSockets on those
	Dialing     time.Duration     // until every connection had been attempted
	DialCPU     time.Duration     // CPU time used until then
	IdleMemory  int64             // bytes that they took before messages were exchanged
	Memory      int64             // bytes of the process at the end of the exchange
	Before      Snapshot          // when the exchange began: servers may send earlier, and logins are
	Exchanged   int64             // messages received during the exchange; if none are, or are expected, those sent
	Elapsed     time.Duration     // duration of the exchange
	CPU         time.Duration     // CPU time used during the exchange
	Final       Snapshot          // after all connections were closed
	Errors      map[string]int64  // by kind
	FirstErrors map[string]string // the first of each kind
	Counted     map[string]int64  // received messages, by the names that a scenario gives them

	Latencies  *Histogram // of answers: from when the message was due, or sent if there is no schedule
	ClosedLoop *Histogram // what a client that waits for answers would have measured; empty without a schedule
	Lateness   *Histogram // of sending: from when a message was due; empty without a schedule
	OneWay     *Histogram // of received messages that say when they were sent
}

// NewResult returns an empty result, to which others can be added.
func NewResult() Result {
	return Result{
		Errors: map[string]int64{}, FirstErrors: map[string]string{},
		Latencies: NewHistogram(), ClosedLoop: NewHistogram(), Lateness: NewHistogram(), OneWay: NewHistogram(),
	}
}

// Add adds the result of another process that ran at the same time.
func (r *Result) Add(other Result) {
	r.Connections += other.Connections
	r.Sessions += other.Sessions
	r.Streams += other.Streams
	r.Dialing = max(r.Dialing, other.Dialing)
	r.DialCPU += other.DialCPU
	r.IdleMemory += other.IdleMemory
	r.Memory += other.Memory
	r.Before.Add(other.Before)
	r.Exchanged += other.Exchanged
	r.Elapsed = max(r.Elapsed, other.Elapsed)
	r.CPU += other.CPU
	r.Final.Add(other.Final)
	for kind, count := range other.Errors {
		r.Errors[kind] += count
	}
	for kind, first := range other.FirstErrors {
		if r.FirstErrors[kind] == "" {
			r.FirstErrors[kind] = first
		}
	}
	r.Counted = addCounts(r.Counted, other.Counted)
	r.Latencies.Merge(other.Latencies)
	r.ClosedLoop.Merge(other.ClosedLoop)
	r.Lateness.Merge(other.Lateness)
	r.OneWay.Merge(other.OneWay)
}
