// Package member runs one member of a cluster: it ties what the member decides (package machine) to
// a store.Store, to time, and to the connections that it holds.
package member

import "github.com/seed004e8d11/websock/fanout/cluster/internal/machine"

// A Holder keeps the connections of the partitions that a member holds. Its methods are called by one
// goroutine, and return at once. What they begin is reported to the Member.
type Holder interface {
	// Open begins to connect the keys of a partition. token is the fencing token with which it is
	// held. The partition is not open yet, and nothing of it is left from before.
	Open(partition int, token uint64)

	// Drain sends what waits on the connections of a partition, and closes them. Member.Ended is
	// called when the last one has ended. Keys that are added to it meanwhile are not connected.
	Drain(partition int)

	// Cut aborts the connections of all partitions. Member.CutDone is called when the last one has
	// ended, which must be soon.
	Cut()

	// SetRate says how many connections may be dialled in a second from now on.
	SetRate(rate float64)

	// Report returns what the member's record is to say of its connections, and how many of them
	// still wait for the outcome of their first attempt.
	Report() (report machine.Report, backlog int)
}
