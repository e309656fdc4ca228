package machine

import "time"

// Settings are those of one member. Partitions, Lease, Margin, Rate and Overlap are the same in all
// members of a cluster.
type Settings struct {
	// ID is the name of the member's record: letters, digits, '-' and '_'. No other process ever has
	// had the same.
	ID string

	// Weight is this member's share beside that of others. Without a positive one it gets nothing.
	Weight float64

	// Partitions is how many there are.
	Partitions int

	// Lease is how long others wait without a sign of life of a member, and Margin how long before
	// that it ends its connections.
	Lease, Margin time.Duration

	// Rate is how many connections all members together may dial in a second.
	Rate float64

	// Overlap is how long a partition that moves may be connected by both members.
	Overlap time.Duration

	// KeepConnections: connections are kept when the deadline has passed.
	KeepConnections bool
}

// A Record is a change of a record that the watch has delivered.
type Record struct {
	Key      string
	Value    []byte // not kept
	Revision uint64
	Deleted  bool
}

// An Outcome is that of a write.
type Outcome uint8

// The outcomes of a write.
const (
	Accepted Outcome = iota
	Refused          // the record has another revision, or exists
	Lost             // no answer has come: it may have been done, or may yet be
)

// A Machine decides what one member of a cluster does. Its inputs are methods that return what is to
// be done; the slice is valid until the next input. Each has the time, since any moment before the
// machine was made, on a clock that never goes back and counts the time in which the machine was
// suspended. One goroutine at a time may use a Machine.
type Machine struct {
	s Settings
}

// New returns the Machine of a member that begins to join. The driver begins a watch.
func New(s Settings) *Machine { return &Machine{s: s} }

// Watched is told of each change that the watch delivers, in order.
func (m *Machine) Watched(now time.Duration, r Record) []Action { return nil }

// Snapshot is told when a watch has delivered all records that there were when it began.
func (m *Machine) Snapshot(now time.Duration) []Action { return nil }

// WatchLost is told when a watch has ended. The driver begins another one.
func (m *Machine) WatchLost(now time.Duration) []Action { return nil }

// Written is told of the outcome of a Write, and, if it was accepted and no deletion, of the record's
// revision.
func (m *Machine) Written(now time.Duration, key string, o Outcome, revision uint64) []Action {
	return nil
}

// Ended is told when the last connection of a partition has ended that was drained.
func (m *Machine) Ended(now time.Duration, partition int) []Action { return nil }

// CutDone is told when the last connection has ended after a Cut.
func (m *Machine) CutDone(now time.Duration) []Action { return nil }

// Settled is told when each connection of a partition that was opened has had the outcome of a first
// attempt. It is needed with Overlap only.
func (m *Machine) Settled(now time.Duration, partition int) []Action { return nil }

// Load is told what the member's record is to say of its connections, and how many of them wait for
// the outcome of their first attempt: soon after that changes, and after each Open.
func (m *Machine) Load(now time.Duration, r Report, backlog int) []Action { return nil }

// Tick is told that time has passed: at the time that Next says, or earlier.
func (m *Machine) Tick(now time.Duration) []Action { return nil }

// Leave begins to hand over all partitions, and then to leave.
func (m *Machine) Leave(now time.Duration) []Action { return nil }

// Abandon leaves at once: all connections are aborted.
func (m *Machine) Abandon(now time.Duration) []Action { return nil }

// Next returns when Tick has to be called at the latest.
func (m *Machine) Next() time.Duration { return 0 }

// Deadline returns when the member's right to what it holds ends, unless it is renewed. It is in the
// past if it has none.
func (m *Machine) Deadline() time.Duration { return 0 }
