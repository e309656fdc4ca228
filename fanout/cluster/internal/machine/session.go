package machine

import (
	"encoding/json"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// own is this member's session, and what is known of its renewals.
type own struct {
	weight  assign.Weight
	session uint64        // 0: none
	base    time.Duration // when the last renewal was begun that is known to be done
	n       uint64        // of the last renewal that was begun
	first   uint64        // n of the one that is to begin, or has begun, the session
	begun   []renewal     // since the last one that is known to be done
	last    time.Duration // when the last one was begun
	written Member        // by that one
	dirty   bool          // the record is to be renewed before it is time
	erasing int           // how often its deletion was tried
	write   write
}

type renewal struct {
	n  uint64
	at time.Duration
}

// maxBegun bounds own.begun: a member that can't reach NATS goes on trying.
const maxBegun = 64

// acknowledge notes that a renewal is known to be done. The others heard of it after it was begun, so
// that they wait until after Lease from then.
func (o *own) acknowledge(n uint64) {
	kept := o.begun[:0]
	for _, r := range o.begun {
		if r.n == n {
			o.base = max(o.base, r.at)
		}
		if r.n > n {
			kept = append(kept, r)
		}
	}
	o.begun = kept
}

// MemberKey returns the key of a member's record.
func MemberKey(id string) string { return memberPrefix + id }

func (m *Machine) ownKey() string { return MemberKey(m.s.ID) }

// enter moves to a state that may follow. What partitions are to do depends on it.
func (m *Machine) enter(s State) {
	m.state = s
	m.changed = true
}

// join takes the next step to become Live.
func (m *Machine) join() {
	if m.watch.state != watchCurrent {
		return
	}
	if m.state == Joining {
		switch old := m.members.byID[m.s.ID]; {
		case m.othersSettingsHold():
		case !m.config.known:
			m.writeConfig()
		case old != nil: // of a session that was lost, or a tombstone
			m.start(&m.own.write, m.ownKey(), nil, old.revision)
		default:
			m.writeOwn(0)
		}
	}
	if m.state == Waiting && m.counted() {
		m.enter(Live)
		m.do(Event{Kind: Joined, Member: m.s.ID})
	}
}

// renew renews the member's record, if it is time.
func (m *Machine) renew() {
	if states[m.state].renews && m.now >= m.renewAt() {
		m.writeOwn(m.members.byID[m.s.ID].revision)
	}
}

func (m *Machine) renewAt() time.Duration {
	if m.own.dirty {
		return m.own.last + m.s.renewApart()
	}
	return m.own.last + m.s.renewEvery()
}

// writeOwn writes the member's record, if that may be written now. It creates it if last is 0.
func (m *Machine) writeOwn(last uint64) {
	o := &m.own
	if !o.write.may(m.now, m.s.retryAfter()) {
		return
	}
	o.n++
	if last == 0 && o.write.state == writeIdle {
		o.first = o.n
	}
	if len(o.begun) == maxBegun {
		o.begun = o.begun[1:]
	}
	o.begun = append(o.begun, renewal{o.n, m.now})
	o.last, o.dirty = m.now, false
	o.written = Member{
		Session: o.session,
		Weight:  o.weight.Float(),
		Lease:   m.s.Lease,
		Leaving: m.leaving,
		N:       o.n,
		Knows:   m.members.sessions(),
		Wants:   m.parts.wanted.slice(),
		Report:  m.report,
	}
	o.written.Report.Rate = m.rate
	o.written.Report.Moves, o.written.Report.Losses = m.counts.receives, m.counts.losses
	value, err := json.Marshal(o.written)
	if err != nil { // a number that isn't one, in the Report
		o.written.Report = Report{}
		value, _ = json.Marshal(o.written)
	}
	m.start(&o.write, m.ownKey(), value, last)
}

// writtenOwn takes the outcome of a write of the member's own record.
func (m *Machine) writtenOwn(o Outcome, revision uint64) {
	w := &m.own.write
	if w.state != writeUnderway {
		return
	}
	if o == Accepted && revision > 0 {
		m.storeMember(m.s.ID, m.own.written, true, revision)
	}
	w.answer(o, m.members.revision(m.s.ID), m.now)
	m.own.dirty = m.own.dirty || o != Accepted
	switch of := m.members.byID[m.s.ID]; {
	case m.state == Erasing && m.own.erasing > 0 && o != Lost:
		m.exit()
	case o == Refused && w.puzzled && m.now > w.since && m.watch.state == watchBehind && of != nil && of.round != m.watch.round:
		m.cut("its record is gone") // it was refused twice, and the new watch has none either
	}
}

// applyOwn takes the member's own record.
func (m *Machine) applyOwn(of *member) {
	o := &m.own
	o.write.seen(of.revision)
	ours := of.session != 0 && of.N <= o.n
	switch {
	case m.state == Joining && ours && of.session == of.revision && of.N >= o.first && o.first > 0:
		o.session = of.session
		o.acknowledge(of.N)
		m.enter(Waiting)
		m.renewWatch() // to see all that were members before; the watch may have left some out
	case o.session == 0:
	case !ours || of.session != o.session:
		m.cut("another process has overwritten its record")
	default:
		away := m.now >= m.Deadline()
		o.acknowledge(of.N)
		if !away || m.now >= m.Deadline() {
			return
		}
		m.members.heardAll(m.now) // they may have renewed, or be about to
		if m.state == Adrift {
			m.enter(Live)
			m.do(Event{Kind: NATSBack, Member: m.s.ID})
		}
	}
}

// checkDeadline ends the session, or what the member may do in it, when its time is over.
func (m *Machine) checkDeadline() {
	switch {
	case !states[m.state].renews || m.now < m.Deadline():
	case m.state == Waiting, !m.s.KeepConnections:
		m.cut("it could not be renewed in time")
	case m.state == Live:
		m.enter(Adrift)
		m.do(Event{Kind: NATSAway, Member: m.s.ID})
	}
}

// cut ends the session here: nothing is this member's any more.
func (m *Machine) cut(cause string) {
	if !states[m.state].renews {
		return
	}
	if cause != "" {
		m.counts.losses++
		m.do(Event{Kind: SessionLost, Member: m.s.ID, Cause: cause})
	}
	m.own.session, m.rate = 0, 0
	m.parts.reset()
	m.enter(Cutting)
	m.do(Cut{})
}

// rejoin goes on when all connections have been cut.
func (m *Machine) rejoin() {
	if m.leaving || m.err != nil {
		m.enter(Erasing)
		return
	}
	m.enter(Joining)
	switch {
	case m.watch.state == watchCurrent:
	case m.watch.state == watchLoading && m.watch.position == 0: // it has delivered nothing yet
		m.forgetRevisions()
	default: // it may wait for what NATS has lost
		m.renewWatch()
	}
}

// fail ends the member because it can't be one.
func (m *Machine) fail(err error) {
	if m.err == nil {
		m.err = err
	}
	if m.state == Joining {
		m.enter(Erasing)
	}
	m.cut(err.Error())
}

func (m *Machine) leave() {
	if m.leaving {
		return
	}
	m.leaving = true
	switch m.state {
	case Joining:
		m.enter(Erasing)
	case Waiting, Live, Adrift:
		m.enter(Leaving)
		m.own.dirty = true
		m.assign(m.members.byID[m.s.ID])
	}
}

// finishLeaving goes on when nothing is left to hand over, or nobody to hand it to.
func (m *Machine) finishLeaving() {
	if m.state == Leaving && (m.parts.busy() == 0 || m.owners.Empty() && m.parts.busy() == m.parts.count[Parked]) {
		m.enter(Erasing)
	}
}

// maxErasing is how often a member tries to delete its record at the end, if it has the time. If
// it fails, the others wait for Lease.
const maxErasing = 3

// erase deletes the record of a member that holds nothing any more, if there is one.
func (m *Machine) erase() {
	if m.state != Erasing || m.own.write.state == writeUnderway {
		return
	}
	of := m.members.byID[m.s.ID]
	switch w := &m.own.write; {
	case of == nil, m.own.erasing == maxErasing, m.own.erasing > 0 && m.hurry, w.state == writeDeleted:
		m.exit()
	case m.start(w, m.ownKey(), nil, of.revision):
		m.own.erasing++
	}
}

func (m *Machine) exit() {
	m.enter(Left)
	m.do(Exit{m.err})
}

// nextOfSession returns when something is to be done for the session.
func (m *Machine) nextOfSession() time.Duration {
	next := m.nextOfWatch()
	switch m.state {
	case Joining:
		if m.watch.state == watchCurrent && !m.othersSettingsHold() {
			next = min(next, max(m.nextTry(&m.config.write), m.nextTry(&m.own.write)))
		}
	case Waiting, Live, Adrift, Leaving:
		next = min(next, max(m.renewAt(), m.nextTry(&m.own.write)))
		if m.now < m.Deadline() {
			next = min(next, m.Deadline())
		}
	case Erasing:
		next = min(next, m.nextTry(&m.own.write))
	}
	return next
}
