package report

import "time"

// A Snapshot holds the counters of a run at one moment.
type Snapshot struct {
	Up         int64 `json:"up"` // open connections
	Sent       int64 `json:"sent"`
	Received   int64 `json:"received"`
	Errors     int64 `json:"errors"`
	Reconnects int64 `json:"reconnects"`

	Cluster ClusterCounts `json:"-"` // zero: the process is no member of one
}

// ClusterCounts are what a member knows of its cluster.
type ClusterCounts struct {
	Members    int64 // this one, too
	Up         int64 // keys connected by all members
	Held       int64 // partitions of this member
	HeldByAll  int64
	TakenOver  int64 // partitions, so far
	HandedOver int64
}

// Add adds the counters of another process.
func (s *Snapshot) Add(other Snapshot) {
	s.Up += other.Up
	s.Sent += other.Sent
	s.Received += other.Received
	s.Errors += other.Errors
	s.Reconnects += other.Reconnects
}

// A Result is what a run has measured in the end. Worker processes send theirs as JSON.
type Result struct {
	Connections int64             // WebSockets that were open when dialing was done
	Sessions    int64             // HTTP/2 connections that were open then
	Streams     int64             // WebSockets on those
	DialCPU     time.Duration     // CPU time used until then
	IdleMemory  int64             // bytes that they took before messages were exchanged
	Memory      int64             // bytes of the process at the end of the exchange
	Exchanged   int64             // messages received by the end of the exchange
	Elapsed     time.Duration     // duration of the exchange
	CPU         time.Duration     // CPU time used during the exchange
	Final       Snapshot          // after all connections were closed
	Errors      map[string]int64  // by kind
	FirstErrors map[string]string // the first of each kind
	Latencies   *Histogram
}

// NewResult returns an empty result to which others can be added.
func NewResult() Result {
	return Result{Errors: map[string]int64{}, FirstErrors: map[string]string{}, Latencies: NewHistogram()}
}

// Add adds the result of another process that ran at the same time.
func (r *Result) Add(other Result) {
	r.Connections += other.Connections
	r.Sessions += other.Sessions
	r.Streams += other.Streams
	r.DialCPU += other.DialCPU
	r.IdleMemory += other.IdleMemory
	r.Memory += other.Memory
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
	r.Latencies.Merge(other.Latencies)
}
