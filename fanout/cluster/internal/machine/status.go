package machine

import (
	"cmp"
	"slices"
	"time"
)

// A Status is what a member knows at one moment.
type Status struct {
	ID         string
	Session    uint64 // 0: none
	State      State
	Rate       float64       // at which it may dial, in a second
	Deadline   time.Duration // on the clock of the Machine
	Watching   bool          // the watch is alive and has caught up
	Members    []MemberStatus
	Partitions []PartitionStatus
	Losses     uint64 // sessions that were lost
	Claims     uint64 // partitions taken that were free
	Receives   uint64 // partitions received from another member
	HandOvers  uint64 // partitions handed over to another member
}

// A MemberStatus is what a member knows of one, perhaps itself.
type MemberStatus struct {
	ID     string
	Member               // its record
	Held   int           // partitions that are its own
	Share  int           // partitions that are to be its own
	Silent time.Duration // since its last sign of life
}

// A PartitionStatus is what a member knows of a partition.
type PartitionStatus struct {
	Holder string    // ID; "" if it is free
	Owner  string    // ID of the member whose it is to be; "" if there is none
	Token  uint64    // with which it is held
	State  PartState // here
}

// Status returns what the member knows. It costs as much as there are members and partitions.
func (m *Machine) Status(now time.Duration) Status {
	s := Status{
		ID: m.s.ID, Session: m.own.session, State: m.state, Rate: m.rate, Deadline: m.Deadline(),
		Watching: m.watch.state == watchCurrent,
		Losses:   m.counts.losses, Claims: m.counts.claims, Receives: m.counts.receives, HandOvers: m.counts.handOvers,
		Partitions: make([]PartitionStatus, len(m.parts.all)),
	}
	held := map[string]int{}
	for i := range m.parts.all {
		p := &m.parts.all[i]
		of := PartitionStatus{Owner: m.owners.Owner(i), State: p.state}
		if m.sessionOf(p) != sessionEnded {
			of.Holder, of.Token = p.record.Member, cmp.Or(p.record.Token, p.revision)
		}
		held[of.Holder]++
		s.Partitions[i] = of
	}
	for _, of := range m.members.sorted() {
		member := of.Member
		member.Session, member.Wants = of.session, slices.Clone(of.Wants)
		s.Members = append(s.Members, MemberStatus{
			ID: of.id, Member: member, Held: held[of.id], Share: m.owners.Share(of.id), Silent: now - of.heard,
		})
	}
	return s
}
