package machine

import (
	"encoding/json"
	"time"
)

// A watch is what is known of the watch that the driver has.
type watch struct {
	state    watchState
	round    uint64        // counts the watches
	since    time.Duration // behind: since when
	position uint64        // the last revision that this watch has delivered
	newest   uint64        // the last revision that is known at all

	awaited      uint64 // an accepted write that this watch has to deliver; 0: none
	awaitedSince time.Duration
}

type watchState uint8

const (
	watchLoading watchState = iota // it has not yet delivered all records
	watchBehind                    // it has, but an earlier watch or an answer has told of later ones
	watchCurrent                   // it has delivered all that is known from elsewhere
)

// await notes a revision that the watch has to deliver some time.
func (w *watch) await(revision uint64, now time.Duration) {
	w.newest = max(w.newest, revision)
	if w.awaited == 0 && revision > w.position {
		w.awaited, w.awaitedSince = revision, now
	}
}

// delivered notes that the watch has come so far.
func (w *watch) delivered(revision uint64, now time.Duration) {
	w.position = max(w.position, revision)
	w.newest = max(w.newest, revision)
	if w.awaited != 0 && w.position >= w.awaited {
		w.awaited = 0
		w.await(w.newest, now)
	}
}

func (m *Machine) watched(r Record) {
	m.watch.delivered(r.Revision, m.now)
	switch kind, id, n := parseKey(r.Key); kind {
	case configKey:
		m.applyConfig(r)
	case memberKey:
		m.applyMember(id, r)
	case partKey:
		if p := m.parts.at(n); p != nil {
			m.watchedPart(p, r)
		}
	}
	m.catchUp()
}

// catchUp concludes that records that a new watch hasn't delivered are gone, as soon as it has
// come as far as anything that is known. (Where NATS has several servers, a watch can begin with the
// records of a moment in the past.)
func (m *Machine) catchUp() {
	w := &m.watch
	switch {
	case w.state == watchBehind && w.position < w.newest:
		m.own.dirty = true // the renewal will come by, and then the watch has caught up
	case w.state == watchBehind:
		w.state = watchCurrent
		m.changed = true
		m.dropAbsent()
		m.members.heardAll(m.now)
		m.config.write.forget()
		m.own.write.forget()
		for _, of := range m.members.writes {
			of.forget()
		}
		for i := range m.parts.all {
			m.parts.all[i].write.forget()
		}
	}
}

// dropAbsent forgets records that this watch has not delivered.
func (m *Machine) dropAbsent() {
	for _, other := range m.members.sorted() {
		if other.round != m.watch.round {
			m.removeMember(other)
		}
	}
	for i := range m.parts.all {
		if p := &m.parts.all[i]; p.round != m.watch.round {
			p.record, p.revision = Partition{}, 0
		}
	}
	if m.config.round != m.watch.round {
		m.config.known, m.config.other, m.config.revision = false, nil, 0
	}
	if m.own.session > 0 && m.members.byID[m.s.ID] == nil {
		m.cut("its record is gone")
	}
}

func (m *Machine) loseWatch() {
	m.watch.state = watchLoading
	m.watch.round++
	m.watch.position, m.watch.awaited = 0, 0
	if m.own.session == 0 {
		m.forgetRevisions()
	}
}

// forgetRevisions begins anew with what a new watch delivers: the records may be other ones than they
// were, with lower revisions, if NATS has lost its data. Nothing depends on them while the member has
// no session.
func (m *Machine) forgetRevisions() {
	m.watch.newest = 0
	clear(m.members.ended)
	for _, of := range m.members.byID {
		of.revision = 0
	}
	for i := range m.parts.all {
		m.parts.all[i].revision = 0
	}
}

// checkWatch has a watch begun anew that doesn't deliver what was written.
func (m *Machine) checkWatch() {
	if m.deaf() && m.state != Left {
		m.do(Event{Kind: WatchDeaf})
		m.renewWatch()
	}
}

func (m *Machine) renewWatch() {
	m.loseWatch()
	m.do(Watch{})
}

func (m *Machine) deaf() bool {
	overdue := func(w *write) bool { return w.puzzled && m.now >= w.since+m.s.Lease }
	switch w := &m.watch; w.state {
	case watchLoading:
		return false
	case watchBehind:
		return m.now >= w.since+m.s.Lease
	case watchCurrent:
		if w.awaited != 0 && m.now >= w.awaitedSince+m.s.Lease || overdue(&m.config.write) || overdue(&m.own.write) {
			return true
		}
	}
	for _, w := range m.members.writes {
		if overdue(w) {
			return true
		}
	}
	for n := range m.parts.due.each() {
		if overdue(&m.parts.all[n].write) {
			return true
		}
	}
	return false
}

func (m *Machine) nextOfWatch() time.Duration {
	switch w := &m.watch; {
	case w.state == watchBehind:
		return w.since + m.s.Lease
	case w.state == watchCurrent && w.awaited != 0:
		return w.awaitedSince + m.s.Lease
	default:
		return m.now + m.s.Lease
	}
}

// config is what is known of the record of the cluster's settings.
type config struct {
	known    bool    // it is as ours
	other    *Config // it is another one, perhaps of members that there are no more; nil: it isn't
	round    uint64
	revision uint64
	write    write
}

// Version is that of the records.
const Version = 1

func (m *Machine) ourConfig() Config {
	return Config{Version: Version, Partitions: m.s.Partitions, Lease: m.s.Lease}
}

func (m *Machine) applyConfig(r Record) {
	m.config.revision, m.config.round = r.Revision, m.watch.round
	m.config.write.seen(r.Revision)
	m.config.known, m.config.other = false, nil
	if r.Deleted {
		return
	}
	var c Config
	if err := json.Unmarshal(r.Value, &c); err != nil {
		c = Config{}
	}
	if m.config.known = c == m.ourConfig(); m.config.known {
		return
	}
	m.config.other = &c
	if m.state != Joining {
		m.refuse()
	}
}

// refuse ends a member whose settings are not those of the cluster.
func (m *Machine) refuse() {
	m.fail(&IncompatibleError{Config: *m.config.other, Ours: m.ourConfig()})
}

// othersSettingsHold reports whether there are other settings, and seems to be a member that has them. It
// shows that it lives by a renewal, which has this member refused, or is declared dead.
func (m *Machine) othersSettingsHold() bool {
	if m.config.other == nil {
		return false
	}
	for _, of := range m.members.byID {
		if of.session != 0 {
			return true
		}
	}
	return false
}

// writeConfig writes our settings: there are none, or nobody has those that there are.
func (m *Machine) writeConfig() {
	value, _ := json.Marshal(m.ourConfig())
	last := uint64(0)
	if m.config.other != nil {
		last = m.config.revision
	}
	m.start(&m.config.write, configName, value, last)
}
