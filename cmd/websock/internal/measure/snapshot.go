// Package measure holds what a run measures: counters at one moment, histograms of times, samples of both
// over time, and the result. Load generators fill it in; tables, pages, charts, files, thresholds and the
// live view read it.
package measure

import "maps"

// A Snapshot is the state of a run at one moment. All but the connections by state are counters that
// only grow, so the difference of two Snapshots is what happened between them.
type Snapshot struct {
	Phase string `json:"phase,omitempty"` // what the run does now

	// Connections by state. Asked are those that there should be now, in any state.
	Asked      int64 `json:"asked,omitempty"`
	Waiting    int64 `json:"waiting,omitempty"` // for their turn to dial, or to dial again
	Connecting int64 `json:"connecting,omitempty"`
	Up         int64 `json:"up"`
	Ended      int64 `json:"ended,omitempty"` // failed or lost, and not dialed again

	Sessions int64 `json:"sessions,omitempty"` // HTTP/2 connections
	Streams  int64 `json:"streams,omitempty"`  // WebSockets on them; they are Up, too

	Attempts int64 `json:"attempts,omitempty"` // to connect, that have ended

	Due      int64 `json:"due,omitempty"`    // messages that a schedule wanted sent by now; 0: there is none
	Unsent   int64 `json:"unsent,omitempty"` // of these: will never be sent, as their connection was not up, or the run ended
	Sent     int64 `json:"sent"`
	Awaited  int64 `json:"awaited,omitempty"`  // of the sent: want an answer
	Answered int64 `json:"answered,omitempty"` // of the awaited
	Received int64 `json:"received"`           // messages, answers among them

	SentBytes     int64 `json:"sent_bytes,omitempty"` // of payload
	ReceivedBytes int64 `json:"received_bytes,omitempty"`

	Errors       int64            `json:"errors"`
	ErrorsByKind map[string]int64 `json:"errors_by_kind,omitempty"` // a copy of the receiver's own
	Reconnects   int64            `json:"reconnects"`

	Latency  Buckets `json:"latency,omitzero"`  // of answers
	Lateness Buckets `json:"lateness,omitzero"` // of sending: from when a message was due
	OneWay   Buckets `json:"one_way,omitzero"`  // of received messages that say when they were sent

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

// counts returns the addresses of all numbers that processes add up.
func (s *Snapshot) counts() []*int64 {
	return []*int64{
		&s.Asked, &s.Waiting, &s.Connecting, &s.Up, &s.Ended, &s.Sessions, &s.Streams, &s.Attempts,
		&s.Due, &s.Unsent, &s.Sent, &s.Awaited, &s.Answered, &s.Received,
		&s.SentBytes, &s.ReceivedBytes, &s.Errors, &s.Reconnects,
	}
}

// Add adds the counters of another process. The phase is that of the receiver, if it has one.
func (s *Snapshot) Add(other Snapshot) {
	if s.Phase == "" {
		s.Phase = other.Phase
	}
	theirs := other.counts()
	for i, mine := range s.counts() {
		*mine += *theirs[i]
	}
	s.ErrorsByKind = addCounts(s.ErrorsByKind, other.ErrorsByKind)
	s.Latency = s.Latency.Add(other.Latency)
	s.Lateness = s.Lateness.Add(other.Lateness)
	s.OneWay = s.OneWay.Add(other.OneWay)
}

// addCounts adds up two maps of counts in a map of its own, or returns nil if both are empty.
func addCounts(a, b map[string]int64) map[string]int64 {
	if len(b) == 0 {
		return a
	}
	sum := maps.Clone(a)
	if sum == nil {
		sum = map[string]int64{}
	}
	for kind, n := range b {
		sum[kind] += n
	}
	return sum
}
