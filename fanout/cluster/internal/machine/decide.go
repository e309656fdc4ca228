package machine

import "time"

// decide does what is to be done with a partition next, if anything. It is called when something has
// changed that it depends on: its record, its owner, what members want, a write, its connections.
func (m *Machine) decide(p *part) {
	for m.step(p) { // a few times: each step leads to another state
	}
	m.file(p)
}

// step takes one step with a partition, and reports whether another may follow.
func (m *Machine) step(p *part) bool {
	before := p.state
	switch {
	case p.state <= Claiming && m.mine(p):
		m.gain(p)
	case p.state <= Claiming:
		m.stepClaiming(p)
	case p.state == Overlapping:
		m.stepOverlapping(p)
	case p.state == Closing || p.state == Draining && m.mine(p):
		// Ended is awaited.
	case !m.mine(p):
		m.lose(p)
	case p.state == Parked:
		m.stepParked(p)
	case p.state == Held:
		m.stepHeld(p)
	default:
		m.stepHandingOver(p)
	}
	return p.state != before
}

// gain takes a partition whose record says that it is this session's.
func (m *Machine) gain(p *part) {
	kind := Received
	if p.record == p.writing {
		kind = Claimed
	}
	m.setState(p, Parked)
	e := Event{Kind: kind, Member: m.s.ID, Partition: p.n, Token: p.token}
	if kind == Claimed {
		m.counts.claims++
		e.Took = m.now - p.freed
	} else {
		m.counts.receives++
	}
	m.do(e)
}

// lose gives up a partition whose record says that it isn't this session's any more: because it was
// handed over, unless somebody has written what doesn't belong there.
func (m *Machine) lose(p *part) {
	if to := p.record.Member; to != "" && p.handed != 0 {
		m.counts.handOvers++
		m.do(Event{Kind: HandedOver, Member: to, Partition: p.n, Token: p.revision})
	}
	switch p.state {
	case Parked, Transferring:
		m.setState(p, Foreign)
	case Ceding:
		m.setState(p, Overlapping)
	case Draining:
		m.setState(p, Closing)
	default:
		m.setState(p, Closing)
		m.do(Drain{p.n})
	}
}

// stepClaiming goes on claiming a partition if it is still to be had. If it isn't, the claim may yet
// be done: then it is this member's all the same.
func (m *Machine) stepClaiming(p *part) {
	switch {
	case p.state == Foreign:
	case p.write.state == writeUnderway:
		m.later(p, m.nextTry(&p.write))
	case m.state != Live || !m.toClaim(p):
		m.setState(p, Foreign)
	case !m.claim(p):
		m.later(p, m.nextTry(&p.write))
	}
}

// toClaim reports whether a partition is free and to be this member's.
func (m *Machine) toClaim(p *part) bool {
	return m.owners.Owner(p.n) == m.s.ID && m.sessionOf(p) == sessionEnded
}

func (m *Machine) sessionOf(p *part) sessionState {
	return m.members.sessionState(p.record.Member, p.record.Session)
}

// claim begins to write that a free partition is this member's.
func (m *Machine) claim(p *part) bool {
	return m.writePart(p, Partition{Member: m.s.ID, Session: m.own.session})
}

// stepParked hands over a partition that has no connections, or gives it some.
func (m *Machine) stepParked(p *part) {
	if to := m.taker(p); to != nil {
		if m.handOver(p, to) {
			m.setState(p, Transferring)
		} else {
			m.later(p, m.nextTry(&p.write))
		}
		return
	}
	switch {
	case m.state != Live:
	case p.inDoubt():
		m.keep(p, false)
	default:
		p.since, p.settled = m.now, false
		m.setState(p, Held)
		m.pace.opened()
		m.do(Open{p.n, p.token})
	}
}

// stepHeld hands over a partition that is connected, once its owner is ready for it.
func (m *Machine) stepHeld(p *part) {
	to := m.taker(p)
	switch {
	case m.s.Overlap > 0 && p.settled && !p.record.Ready:
		m.keep(p, true)
	case to != nil && m.s.Overlap > 0 && m.now < m.aloneAt(p):
		m.later(p, m.aloneAt(p))
	case to != nil && m.s.Overlap > 0:
		if m.handOver(p, to) {
			p.since = m.now
			m.setState(p, Ceding)
			m.later(p, p.since+m.s.Overlap)
		} else {
			m.later(p, m.nextTry(&p.write))
		}
	case to != nil, m.state == Leaving && m.owners.Empty():
		m.setState(p, Draining)
		m.do(Drain{p.n})
	}
}

// aloneAt returns when the member that a partition came from has closed its connections: after Overlap, by
// a clock that may be slower.
func (m *Machine) aloneAt(p *part) time.Duration { return p.since + m.s.Overlap + m.s.Margin/4 }

// stepHandingOver goes on with a hand-over that hasn't been answered.
func (m *Machine) stepHandingOver(p *part) {
	if p.state == Ceding && m.now >= p.since+m.s.Overlap {
		m.setState(p, Draining)
		m.do(Drain{p.n})
		return
	}
	if p.state == Ceding {
		m.later(p, p.since+m.s.Overlap)
	}
	if !p.write.may(m.now, m.s.retryAfter()) {
		m.later(p, m.nextTry(&p.write))
		return
	}
	if to := m.taker(p); to != nil {
		m.handOver(p, to)
		return
	}
	switch { // nobody wants it any more
	case p.state == Transferring:
		m.setState(p, Parked)
	case p.inDoubt():
		m.keep(p, p.record.Ready)
	default:
		m.setState(p, Held)
	}
}

// stepOverlapping closes the connections of a partition that was handed over when that is ready.
func (m *Machine) stepOverlapping(p *part) {
	end := p.since + m.s.Overlap
	switch {
	case m.mine(p): // again: it gets new connections when these have ended
		p.token = p.revision
		m.setState(p, Draining)
	case p.record.Ready || m.now >= end:
		m.setState(p, Closing)
	default:
		m.later(p, end)
		return
	}
	m.do(Drain{p.n})
}

// file puts a partition into the sets that it belongs to now.
func (m *Machine) file(p *part) {
	ours := p.state == Foreign && m.own.session != 0 && m.owners.Owner(p.n) == m.s.ID
	of := m.sessionOf(p)
	if of == sessionEnded && p.freed < 0 {
		p.freed = m.now
	} else if of != sessionEnded {
		p.freed = -1
	}
	m.parts.free.set(p.n, ours && of == sessionEnded)
	m.parts.orphaned.set(p.n, ours && of == sessionUnknown && p.record.Member != "")
	taken := ours && of == sessionAlive && !m.mine(p)
	m.parts.taken.set(p.n, taken)
	if !taken {
		m.parts.wanted.set(p.n, false)
	}
}
