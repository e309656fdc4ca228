package machine

import "time"

// A write is what is known of the writes of one key. Each is a comparison with the last revision
// that was known, so that of several none of which was answered only one can be done, and one that
// is done late does nothing if there is a newer record.
type write struct {
	state   writeState
	last    uint64        // the revision that it compares with
	at      time.Duration // when it was begun
	puzzled bool          // it was answered, and the watch has to show what has changed
	since   time.Duration // it has been puzzled
}

type writeState uint8

const (
	writeIdle     writeState = iota
	writeUnderway            // its outcome will be told
	writeFailed              // it was refused, perhaps because of one that fails yet, or its outcome is not known
	writeDeleted             // it has deleted the record: the watch will show that
)

// may reports whether another write may begin now.
func (w *write) may(now, retryAfter time.Duration) bool {
	return w.state == writeIdle || w.state == writeFailed && now >= w.at+retryAfter
}

func (w *write) begin(now time.Duration, last uint64) {
	w.state, w.last, w.at = writeUnderway, last, now
}

// answer takes the outcome of the write that is under way. known is the last revision of the record
// that is known by now.
func (w *write) answer(o Outcome, known uint64, now time.Duration) {
	if w.state = writeFailed; o == Accepted {
		w.state = writeDeleted
	}
	if o != Lost && !w.puzzled {
		w.puzzled, w.since = true, now
	}
	w.seen(known)
}

// seen takes a newer revision of the record. It explains what a write has met.
func (w *write) seen(revision uint64) {
	if w.state != writeUnderway && revision > w.last {
		w.state, w.puzzled = writeIdle, false
	}
}

// forget has a write be tried again, because another watch has shown all records.
func (w *write) forget() {
	if w.state == writeDeleted {
		w.state = writeFailed
	}
	w.puzzled = false
}

// nextTry returns when something may be done about a write, if its answer doesn't come before.
func (m *Machine) nextTry(w *write) time.Duration {
	switch w.state {
	case writeIdle:
		return m.now
	case writeFailed:
		return w.at + m.s.retryAfter()
	default:
		return m.now + m.s.Lease
	}
}

// start emits a write, if one may begin.
func (m *Machine) start(w *write, key string, value []byte, last uint64) bool {
	if !w.may(m.now, m.s.retryAfter()) {
		return false
	}
	w.begin(m.now, last)
	m.do(Write{key, value, last})
	return true
}

// written takes the outcome of a write.
func (m *Machine) written(key string, o Outcome, revision uint64) {
	if o == Accepted && revision > 0 {
		m.watch.await(revision, m.now)
	}
	switch kind, id, n := parseKey(key); kind {
	case configKey:
		if w := &m.config.write; w.state == writeUnderway {
			if o == Accepted {
				m.config = config{known: true, round: m.watch.round, revision: revision, write: m.config.write}
			}
			w.answer(o, m.config.revision, m.now)
		}
	case memberKey:
		if id == m.s.ID {
			m.writtenOwn(o, revision)
		} else if w := m.members.writes[id]; w != nil && w.state == writeUnderway {
			if o == Accepted && w.last == 0 {
				m.storeMember(id, Member{Dead: true}, true, revision)
			}
			if w.answer(o, m.members.revision(id), m.now); w.state == writeIdle {
				delete(m.members.writes, id)
			}
			if o == Refused {
				m.members.heard(id, m.now) // it has renewed: its time begins anew
			}
		}
	case partKey:
		if p := m.parts.at(n); p != nil && p.write.state == writeUnderway {
			if o == Accepted {
				m.applyPart(p, p.writing, revision)
			}
			p.write.answer(o, p.revision, m.now)
			m.decide(p)
		}
	}
}
