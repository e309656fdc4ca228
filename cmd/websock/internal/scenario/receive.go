package scenario

import "time"

// A Reception is what a received message was.
type Reception struct {
	Answered   bool          // it answers a message,
	Opening    bool          // which was sent when the connection opened
	Latency    time.Duration // from when that message was due, or sent if it has no schedule, to now
	ClosedLoop time.Duration // from sending to now, if it has a schedule, but nothing else was waited for then; else negative
	Unclaimed  bool          // it looks like an answer, but nothing waits for it: late, or the second one
	Timestamp  bool          // it says when it was sent,
	OneWay     time.Duration // which was so long ago; negative: the clocks differ
	Counts     uint64        // bit i: it is to be counted as Counts()[i] of the Scenario
	Failures   uint64        // likewise, Failures()
}

// A finding is what a rule finds in a message.
type finding struct {
	known   bool // the others are set
	matches bool
	id      uint64
}

// isNext reports whether st is the one of the steps in turn whose answer is waited for.
func (s *Session) isNext(st *step) bool {
	steps := s.steps()
	return s.waiting && s.next < len(steps) && steps[s.next] == st
}

// Receive says what a message was, and goes on if it is the answer that was waited for.
func (s *Session) Receive(now time.Time, msg []byte) (r Reception) {
	r.Counts, r.Failures = countersOf(s.scenario.counts, msg), countersOf(s.scenario.failures, msg)
	if s.scenario.pushed != nil {
		var at time.Time
		if at, r.Timestamp = s.scenario.pushed.in(msg); r.Timestamp {
			r.OneWay = now.Sub(at)
		}
	}
	a, ok, looksLikeOne := s.answered(msg)
	if !ok {
		r.Unclaimed = looksLikeOne
		return r
	}
	at := now.Sub(s.epoch)
	r.Answered, r.Opening, r.Latency, r.ClosedLoop = true, a.step.opens, at-a.due, -1
	if a.alone {
		r.ClosedLoop = at - a.sent
	}
	if s.isNext(a.step) {
		s.advance(a.step, at)
	}
	return r
}

func countersOf(counters []counter, msg []byte) (bits uint64) {
	for i := range counters {
		if counters[i].matches(msg) {
			bits |= 1 << i
		}
	}
	return bits
}

// answered returns the oldest message that another one answers. looksLikeOne says that it has the form of
// an answer with an ID.
func (s *Session) answered(msg []byte) (a pendingAnswer, ok, looksLikeOne bool) {
	clear(s.found)
	a, ok = s.pending.take(func(p *pendingAnswer) bool {
		f := s.find(p.step.rule, msg)
		return f.matches && f.id == p.id
	})
	for i := 0; !ok && i < len(s.found); i++ {
		looksLikeOne = looksLikeOne || s.scenario.rules[i].hasID() && s.find(i, msg).matches
	}
	return a, ok, looksLikeOne
}

// find returns what a rule finds in a message. It looks once for each message.
func (s *Session) find(rule int, msg []byte) *finding {
	f, m := &s.found[rule], s.scenario.rules[rule]
	switch {
	case f.known:
	case m.hasID():
		f.id, f.matches = m.id(msg)
	default:
		f.matches = m.matches(msg)
	}
	f.known = true
	return f
}

// Expire gives up the answers that did not come in time, and returns how many there are. failed says that
// one of them was to a message that is sent when a connection opens, so that the script can't go on.
func (s *Session) Expire(now time.Time) (n int, failed bool) {
	at := now.Sub(s.epoch)
	s.pending.expire(at, s.timeoutOf, func(a *pendingAnswer) {
		n++
		switch {
		case a.step.opens:
			failed = true
		case s.isNext(a.step):
			s.advance(a.step, at)
		}
	})
	return n, failed
}
