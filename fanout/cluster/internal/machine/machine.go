package machine

import (
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

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

// renewEvery is how long a member's record stays as it is if nothing changes, and how long the driver
// should wait for the outcome of a write.
func (s *Settings) renewEvery() time.Duration { return s.Lease / 5 }

// renewApart is how long at least is between two renewals: changes that come meanwhile go together.
func (s *Settings) renewApart() time.Duration { return s.Lease / 200 }

// retryAfter is how long after the beginning of a write whose answer was lost the next may begin.
func (s *Settings) retryAfter() time.Duration { return s.Lease / 20 }

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
	s     Settings
	now   time.Duration // of the last input
	out   []Action
	state State

	leaving bool  // Leave or Abandon was called
	hurry   bool  // Abandon was
	err     error // why the member can't be one

	watch   watch
	config  config
	members members
	own     own
	owners  *assign.Table

	parts   parts
	changed bool // members or owners have, and all partitions are to be decided anew

	report  Report
	backlog int
	pace    pace
	rate    float64 // that was told last
	counts  struct{ losses, claims, receives, handOvers uint64 }
}

// New returns the Machine of a member that begins to join. The driver begins a watch.
func New(s Settings) *Machine {
	return &Machine{
		s:       s,
		members: newMembers(),
		owners:  assign.NewTable(s.Partitions),
		own:     own{weight: assign.WeightOf(s.Weight)},
		parts:   newParts(s.Partitions),
	}
}

// Watched is told of each change that the watch delivers, in order.
func (m *Machine) Watched(now time.Duration, r Record) []Action {
	m.begin(now)
	m.watched(r)
	return m.end()
}

// Snapshot is told when a watch has delivered all records that there were when it began.
func (m *Machine) Snapshot(now time.Duration) []Action {
	m.begin(now)
	if m.watch.state == watchLoading {
		m.watch.state, m.watch.since = watchBehind, m.now
		m.catchUp()
	}
	return m.end()
}

// WatchLost is told when a watch has ended. The driver begins another one.
func (m *Machine) WatchLost(now time.Duration) []Action {
	m.begin(now)
	m.loseWatch()
	return m.end()
}

// Written is told of the outcome of a Write, and, if it was accepted and no deletion, of the record's
// revision.
func (m *Machine) Written(now time.Duration, key string, o Outcome, revision uint64) []Action {
	m.begin(now)
	m.written(key, o, revision)
	return m.end()
}

// Ended is told when the last connection of a partition has ended that was drained.
func (m *Machine) Ended(now time.Duration, partition int) []Action {
	m.begin(now)
	if p := m.parts.at(partition); p != nil {
		switch p.state {
		case Draining:
			m.setState(p, Parked)
			m.decide(p)
		case Closing:
			m.setState(p, Foreign)
			m.decide(p)
		}
	}
	return m.end()
}

// Settled is told when each connection of a partition that was opened has had the outcome of a first
// attempt. It is needed with Overlap only.
func (m *Machine) Settled(now time.Duration, partition int) []Action {
	m.begin(now)
	if p := m.parts.at(partition); p != nil && p.state == Held {
		p.settled = true
		m.decide(p)
	}
	return m.end()
}

// CutDone is told when the last connection has ended after a Cut.
func (m *Machine) CutDone(now time.Duration) []Action {
	m.begin(now)
	if m.state == Cutting {
		m.rejoin()
	}
	return m.end()
}

// Load is told what the member's record is to say of its connections, and how many of them wait for
// the outcome of their first attempt: soon after that changes, and after each Open.
func (m *Machine) Load(now time.Duration, r Report, backlog int) []Action {
	m.begin(now)
	m.report, m.backlog = r, backlog
	m.pace.loaded(r.Keys, m.parts.open())
	return m.end()
}

// Tick is told that time has passed: at the time that Next says, or earlier.
func (m *Machine) Tick(now time.Duration) []Action {
	m.begin(now)
	m.checkWatch()
	m.decideDue()
	m.bury()
	return m.end()
}

// Leave begins to hand over all partitions, and then to leave.
func (m *Machine) Leave(now time.Duration) []Action {
	m.begin(now)
	m.leave()
	return m.end()
}

// Abandon leaves at once: all connections are aborted.
func (m *Machine) Abandon(now time.Duration) []Action {
	m.begin(now)
	m.hurry = true
	m.leave()
	m.cut("")
	return m.end()
}

// begin takes the time of an input. What has become due by then comes before the input: a member
// that was suspended cuts before it does anything else.
func (m *Machine) begin(now time.Duration) {
	clear(m.out)
	m.out = m.out[:0]
	m.now = max(m.now, now)
	m.checkDeadline()
}

// end draws the conclusions of an input.
func (m *Machine) end() []Action {
	if m.state == Left {
		return m.out
	}
	m.join()
	m.share() // before anything is opened, and before the record says that a member was seen
	if m.changed && m.watch.state == watchCurrent {
		m.changed = false
		for p := range m.parts.all {
			m.decide(&m.parts.all[p])
		}
	}
	m.acquire()
	m.finishLeaving()
	m.renew()
	m.erase()
	return m.out
}

func (m *Machine) do(a Action) { m.out = append(m.out, a) }

// Next returns when Tick has to be called at the latest.
func (m *Machine) Next() time.Duration {
	next := m.now + m.s.Lease
	if m.state == Left {
		return next
	}
	return min(next, m.nextOfSession(), m.nextOfMembers(), m.nextOfParts())
}

// Deadline returns when the member's right to what it holds ends, unless it is renewed. It is
// negative if it has none.
func (m *Machine) Deadline() time.Duration {
	if m.own.session == 0 {
		return -1
	}
	return m.own.base + m.s.Lease - m.s.Margin
}
