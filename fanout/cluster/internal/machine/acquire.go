package machine

// share tells the rate that is this member's of that of all. All those count that may dial: of some
// that are to be no members any more, a deleted record says when they don't.
func (m *Machine) share() {
	if !states[m.state].dials || m.members.weights == 0 {
		return
	}
	rate := m.s.Rate * (float64(m.own.weight) / float64(m.members.weights))
	if rate != m.rate && rate > 0 {
		m.rate = rate
		m.do(SetRate{rate})
	}
}

// maxPending is how many partitions a member tries to get at a time.
const maxPending = 32

// A pace keeps a member from taking partitions faster than it can connect their keys: so others have
// time to take theirs, and a partition that moves is without connections only for its own move.
type pace struct {
	untold int     // partitions opened since Load has told the backlog
	keys   float64 // of a partition, on average
	known  bool    // keys is
}

func (c *pace) opened() { c.untold++ }

func (c *pace) loaded(keys, open int) {
	c.untold = 0
	if open > 0 {
		c.keys, c.known = float64(keys)/float64(open), true
	}
}

// room reports whether another partition may be taken, when that many are on the way: the backlog is
// less than what is connected in a second, and with those on the way, too, unless there are none.
func (m *Machine) room(pending int) bool {
	pending += m.pace.untold
	switch {
	case m.backlog > 0 && float64(m.backlog) >= m.rate:
		return false
	case pending == 0:
		return true
	default:
		return pending < maxPending && m.pace.known && float64(m.backlog)+float64(pending)*m.pace.keys < m.rate
	}
}

// acquire claims partitions that are free, and wants such as others have, as the pace allows.
func (m *Machine) acquire() {
	if m.state != Live || m.watch.state != watchCurrent {
		return
	}
	for n := range m.parts.orphaned.each() {
		m.prove(m.parts.all[n].record.Member)
	}
	for n := range m.parts.free.each() {
		if !m.room(m.parts.count[Claiming]) {
			break
		}
		if p := &m.parts.all[n]; m.claim(p) {
			m.setState(p, Claiming)
			m.file(p)
		} else {
			m.later(p, m.nextTry(&p.write))
		}
	}
	wanted := m.parts.wanted.len()
	for n := range m.parts.taken.each() {
		if m.parts.wanted.has(n) {
			continue
		}
		if !m.room(m.parts.count[Claiming] + wanted) {
			break
		}
		m.parts.wanted.set(n, true)
		m.own.dirty = true
		wanted++
	}
}

// prove finds out whether the sessions of a member have ended of which there seems to be no record. If
// there is one that the watch hasn't shown yet, a tombstone can't be created.
func (m *Machine) prove(id string) {
	m.start(m.members.write(id), memberPrefix+id, tombstone, 0)
}
