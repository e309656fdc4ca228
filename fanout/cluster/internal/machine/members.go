package machine

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// members are those of which there is a record, this one included.
type members struct {
	byID    map[string]*member
	inOrder []*member         // sorted, of byID; nil: to be made anew
	ended   map[string]uint64 // sessions up to these have ended, of members without a record
	writes  map[string]*write // of others' records: tombstones and deletions
	weights assign.Weight     // of all
}

// A member is what is known of one.
type member struct {
	id string
	Member
	session  uint64 // 0: it has none, or it can't be read
	weight   assign.Weight
	revision uint64
	round    uint64        // of the last watch that has delivered the record, or an earlier one
	heard    time.Duration // when the last sign of life came
}

func newMembers() members {
	return members{byID: map[string]*member{}, ended: map[string]uint64{}, writes: map[string]*write{}}
}

func (s *members) sorted() []*member {
	if s.inOrder == nil {
		s.inOrder = slices.SortedFunc(maps.Values(s.byID), func(a, b *member) int { return strings.Compare(a.id, b.id) })
	}
	return s.inOrder
}

// maxLease bounds for how long another member's record is believed that it may be silent.
const maxLease = 24 * time.Hour

// tombstone is the record of a member whose sessions have ended.
var tombstone, _ = json.Marshal(Member{Dead: true})

// A sessionState is what is known of a session.
type sessionState uint8

const (
	sessionUnknown sessionState = iota // it may have ended, or the watch may be late
	sessionAlive
	sessionEnded
)

func (s *members) sessionState(id string, session uint64) sessionState {
	of := s.byID[id]
	switch {
	case session <= s.ended[id]: // also none at all
		return sessionEnded
	case of == nil:
		return sessionUnknown
	case of.session > session:
		return sessionEnded
	default: // or the watch is late
		return sessionAlive
	}
}

func (s *members) revision(id string) uint64 {
	if of := s.byID[id]; of != nil {
		return of.revision
	}
	return s.ended[id]
}

func (s *members) heard(id string, now time.Duration) {
	if of := s.byID[id]; of != nil {
		of.heard = now
	}
}

// heardAll begins to wait for signs of life of all members from now on.
func (s *members) heardAll(now time.Duration) {
	for _, of := range s.byID {
		of.heard = now
	}
}

func (s *members) write(id string) *write {
	w := s.writes[id]
	if w == nil {
		w = &write{}
		s.writes[id] = w
	}
	return w
}

// applyMember takes a member's record that the watch has delivered.
func (m *Machine) applyMember(id string, r Record) {
	of := m.members.byID[id]
	if of != nil && r.Revision <= of.revision {
		if !r.Deleted {
			of.round = m.watch.round // what has become of it since then, the watch may leave out
		}
		return
	}
	if w := m.members.writes[id]; w != nil {
		if w.seen(r.Revision); w.state == writeIdle {
			delete(m.members.writes, id)
		}
	}
	if r.Deleted {
		if of != nil {
			m.removeMember(of)
		}
		m.endSessions(id, r.Revision)
		if id == m.s.ID {
			m.own.write.seen(r.Revision)
			m.cut("its record was deleted")
		}
		return
	}
	var record Member
	readable := json.Unmarshal(r.Value, &record) == nil && record.Session <= r.Revision
	m.storeMember(id, record, readable, r.Revision)
}

// storeMember takes a member's record, if it is newer than the one that is known.
func (m *Machine) storeMember(id string, record Member, readable bool, revision uint64) {
	of := m.members.byID[id]
	if of != nil && revision <= of.revision {
		return
	}
	session := cmp.Or(record.Session, revision)
	switch {
	case !readable: // it shows only that somebody is there
		record, session = Member{}, 0
		if of != nil {
			record, session = of.Member, of.session
		}
	case record.Dead:
		record, session = Member{Dead: true}, 0
	case session <= m.members.ended[id]:
		return // from the past
	}
	if of == nil {
		of = &member{id: id}
		m.members.byID[id], m.members.inOrder = of, nil
	}
	of.revision, of.round, of.heard = revision, m.watch.round, m.now
	m.putMember(of, record, session)
	if record.Dead {
		m.endSessions(id, revision)
	}
}

// endSessions notes that all sessions of a member up to a revision have ended.
func (m *Machine) endSessions(id string, revision uint64) {
	m.members.ended[id] = max(m.members.ended[id], revision)
	m.changed = true
	if len(m.members.ended) < 2*len(m.members.byID)+64 {
		return
	}
	named := map[string]bool{}
	for i := range m.parts.all {
		named[m.parts.all[i].record.Member] = true
	}
	maps.DeleteFunc(m.members.ended, func(id string, _ uint64) bool { return !named[id] })
}

// putMember takes a member's record, which is newer than the one before.
func (m *Machine) putMember(of *member, record Member, session uint64) {
	mine := of.id == m.s.ID
	if of.session != session {
		if of.session != 0 && !mine {
			m.do(Event{Kind: MemberEnd, Member: of.id, Took: m.now - of.heard})
		}
		m.changed = true
		m.own.dirty = true // until all know it, a member that has joined dials nothing
		if session != 0 && !mine {
			m.do(Event{Kind: MemberJoin, Member: of.id})
		}
	}
	m.members.weights -= of.weight
	wants := of.Wants
	of.Member, of.session, of.weight = record, session, assign.WeightOf(record.Weight)
	if session == 0 {
		of.weight = 0
	}
	m.members.weights += of.weight
	of.Wants = slices.Compact(slices.Sorted(slices.Values(of.Wants)))
	slices.Sort(of.Knows)
	m.assign(of)
	if mine {
		m.applyOwn(of)
		return
	}
	if m.config.other != nil && m.watch.state == watchCurrent && session != 0 {
		m.refuse() // somebody lives with the other settings
	}
	if slices.Equal(of.Wants, wants) {
		return
	}
	for _, n := range of.Wants {
		if p := m.parts.at(n); p != nil && m.mine(p) {
			m.decide(p)
		}
	}
}

// assign gives a member its share of the partitions.
func (m *Machine) assign(of *member) {
	weight := of.weight
	if of.Leaving || of.id == m.s.ID && m.leaving {
		weight = 0
	}
	if m.owners.Set(assign.Candidate{ID: of.id, Weight: weight}) {
		m.changed = true
	}
}

func (m *Machine) removeMember(of *member) {
	if of.session != 0 && of.id != m.s.ID {
		m.do(Event{Kind: MemberEnd, Member: of.id, Took: m.now - of.heard})
	}
	delete(m.members.byID, of.id)
	m.members.inOrder = nil
	m.members.weights -= of.weight
	m.owners.Remove(of.id)
	m.changed = true
	if w := m.members.writes[of.id]; w != nil && w.state != writeUnderway {
		delete(m.members.writes, of.id)
	}
}

// counted reports whether all members that may dial take this one into account. Those that have
// joined later need not say so: they don't dial before they have seen it.
func (m *Machine) counted() bool {
	for _, of := range m.members.byID {
		if of.session == 0 || of.session >= m.own.session {
			continue
		}
		if _, knows := slices.BinarySearch(of.Knows, m.own.session); !knows {
			return false
		}
	}
	return true
}

// sessions returns those of all members, ascending.
func (s *members) sessions() (all []uint64) {
	for _, of := range s.byID {
		if of.session != 0 {
			all = append(all, of.session)
		}
	}
	slices.Sort(all)
	return all
}

// bury deletes the records of members that have been silent for too long. That it succeeds proves that
// they haven't renewed, and makes it final. Members do it one after another, so that not all write.
func (m *Machine) bury() {
	if !m.observes() {
		return
	}
	for _, of := range m.members.sorted() {
		if of.id == m.s.ID || m.now < m.buryAt(of) {
			continue
		}
		if m.start(m.members.write(of.id), memberPrefix+of.id, nil, of.revision) && of.session != 0 {
			m.do(Event{Kind: DeclareDead, Member: of.id, Took: m.now - of.heard})
		}
	}
}

// observes reports whether this member can tell that another one is silent. It can't while NATS is away:
// then it hears nobody, and who has kept connections may renew first when NATS is back. One that has no
// session for as long as there are others with other settings relies on its watch alone.
func (m *Machine) observes() bool {
	switch {
	case m.watch.state != watchCurrent:
		return false
	case m.state == Joining:
		return m.othersSettingsHold()
	}
	return states[m.state].renews && m.now < m.Deadline()
}

// silentUntil returns when a member has been silent for too long: after its own Lease, or ours if that is
// longer. (They differ only where a cluster begins anew with other settings.)
func (m *Machine) silentUntil(of *member) time.Duration {
	return of.heard + max(m.s.Lease, min(of.Lease, maxLease))
}

// buryAt returns when this member has to declare another one dead.
func (m *Machine) buryAt(of *member) time.Duration {
	at := m.silentUntil(of)
	if m.now < at {
		return at
	}
	turn := 0 // how many members come first: those that follow the dead one in the circle of IDs
	for _, other := range m.members.sorted() {
		if other == of || other.id == m.s.ID || other.session == 0 || m.now >= m.silentUntil(other) {
			continue
		}
		if follows(of.id, other.id, m.s.ID) {
			turn++
		}
	}
	return at + time.Duration(min(turn, 16))*m.s.Margin/32
}

// follows reports whether b comes before c on the way around from a.
func follows(a, b, c string) bool {
	ab, bc, ca := cmp.Less(a, b), cmp.Less(b, c), cmp.Less(c, a)
	return ab && bc || bc && ca || ca && ab
}

func (m *Machine) nextOfMembers() time.Duration {
	next := m.now + m.s.Lease
	if !m.observes() {
		return next
	}
	for _, of := range m.members.byID {
		if of.id == m.s.ID {
			continue
		}
		at := m.buryAt(of)
		if w := m.members.writes[of.id]; w != nil && m.now >= at {
			at = m.nextTry(w)
		}
		next = min(next, at)
	}
	return next
}
