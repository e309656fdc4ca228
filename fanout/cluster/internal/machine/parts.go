package machine

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"
)

// parts are the partitions, and sets of those with which something is to be done.
type parts struct {
	all   []part
	count [Closing + 1]int // in each state

	free     bitset // to be claimed
	taken    bitset // to be wanted from another member
	wanted   bitset // of those, in this member's record
	orphaned bitset // as free, but whether the session of their holder has ended is not known
	due      bitset // to be decided again at part.dueAt
}

// A part is a partition.
type part struct {
	n        int
	state    PartState
	settled  bool // Held: all of its connections have been tried
	record   Partition
	revision uint64 // of the record; 0: there is none
	round    uint64 // of the last watch that has delivered it, or an earlier one
	write    write
	writing  Partition     // by the write that is under way
	token    uint64        // mine
	handed   uint64        // mine: its revision when a write was begun that hands it over; 0: none was
	since    time.Duration // Held: when it was opened. Ceding, Overlapping: when it was to be handed over
	freed    time.Duration // free: since when
	dueAt    time.Duration
}

func newParts(n int) parts {
	p := parts{all: make([]part, n)}
	for i := range p.all {
		p.all[i].n, p.all[i].freed = i, -1
	}
	p.count[Foreign] = n
	for _, set := range []*bitset{&p.free, &p.taken, &p.wanted, &p.orphaned, &p.due} {
		*set = newBitset(n)
	}
	return p
}

func (s *parts) at(n int) *part {
	if n < 0 || n >= len(s.all) {
		return nil
	}
	return &s.all[n]
}

// busy returns how many partitions are this member's, or have connections here.
func (s *parts) busy() int { return len(s.all) - s.count[Foreign] - s.count[Claiming] }

// open returns how many have connections here.
func (s *parts) open() int { return s.busy() - s.count[Parked] - s.count[Transferring] }

// reset has all partitions be another's, and without connections.
func (s *parts) reset() {
	for i := range s.all {
		s.all[i].state, s.all[i].handed = Foreign, 0
	}
	s.count = [Closing + 1]int{Foreign: len(s.all)}
	for _, set := range []*bitset{&s.free, &s.taken, &s.wanted, &s.orphaned, &s.due} {
		clear(set.words)
	}
}

func (m *Machine) setState(p *part, s PartState) {
	m.parts.count[p.state]--
	m.parts.count[s]++
	p.state = s
}

// mine reports whether a partition's record says that it is held by this session.
func (m *Machine) mine(p *part) bool {
	return m.own.session != 0 && p.record.Session == m.own.session && p.record.Member == m.s.ID
}

// watchedPart takes a partition's record that the watch has delivered.
func (m *Machine) watchedPart(p *part, r Record) {
	if r.Revision <= p.revision {
		if !r.Deleted {
			p.round = m.watch.round
		}
		return
	}
	record := Partition{}
	if !r.Deleted && !readPartition(r, &record) {
		record = p.record // whoever has it may go on; it can be written over
		if p.revision == 0 {
			record = Partition{Session: unreadable}
		}
	}
	m.applyPart(p, record, r.Revision)
	if m.watch.state == watchCurrent || m.mine(p) {
		m.decide(p)
	}
}

// readPartition reads a record, and reports whether it makes sense.
func readPartition(r Record, p *Partition) bool {
	return json.Unmarshal(r.Value, p) == nil && max(p.Session, p.Token) <= r.Revision && validID(p.Member)
}

// unreadable is the session in the record of a partition that can't be read: it never ends.
const unreadable = ^uint64(0)

func (m *Machine) applyPart(p *part, record Partition, revision uint64) {
	if revision <= p.revision {
		return
	}
	p.record, p.revision, p.round = record, revision, m.watch.round
	p.write.seen(revision)
	if m.mine(p) && p.state <= Claiming {
		p.token, p.handed = cmp.Or(record.Token, revision), 0
	}
}

// writePart begins to write a partition's record, if it may.
func (m *Machine) writePart(p *part, record Partition) bool {
	value, _ := json.Marshal(record)
	if !m.start(&p.write, partKeyOf(p.n), value, p.revision) {
		return false
	}
	p.writing = record
	return true
}

// later has a partition be decided again at a time, but not all the time.
func (m *Machine) later(p *part, at time.Duration) {
	if m.parts.due.has(p.n) {
		at = min(at, p.dueAt)
	}
	m.parts.due.set(p.n, true)
	p.dueAt = max(at, m.now+m.s.renewApart())
}

// decideDue decides on the partitions for which it is time.
func (m *Machine) decideDue() {
	for n := range m.parts.due.each() {
		if p := &m.parts.all[n]; m.now >= p.dueAt {
			m.parts.due.set(n, false)
			m.decide(p)
		}
	}
}

func (m *Machine) nextOfParts() time.Duration {
	next := m.now + m.s.Lease
	for n := range m.parts.due.each() {
		next = min(next, m.parts.all[n].dueAt)
	}
	return next
}

// taker returns the member that is ready to take over a partition now, nil if there is none.
func (m *Machine) taker(p *part) *member {
	id := m.owners.Owner(p.n)
	if id == "" || id == m.s.ID || m.state == Adrift {
		return nil
	}
	of := m.members.byID[id]
	if _, wants := slices.BinarySearch(of.Wants, p.n); !wants {
		return nil
	}
	return of
}

// handOver begins to write that a partition is another member's.
func (m *Machine) handOver(p *part, to *member) bool {
	if !m.writePart(p, Partition{Member: to.id, Session: to.session}) {
		return false
	}
	p.handed = p.revision
	return true
}

// inDoubt reports whether a partition may yet become another member's by a write that was begun. It
// must not be connected as if it were still held.
func (p *part) inDoubt() bool { return p.handed != 0 && p.handed == p.revision }

// keep begins to write that a partition is still this member's. If that is done, a hand-over that was
// begun before isn't any more.
func (m *Machine) keep(p *part, ready bool) {
	m.writePart(p, Partition{Member: m.s.ID, Session: m.own.session, Ready: ready, Token: p.token})
	m.later(p, m.nextTry(&p.write))
}
