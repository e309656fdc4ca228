package scenario

import "time"

// maxPending bounds the messages of a connection that wait for answers. At the bound the next ones that
// want an answer wait to be sent.
const maxPending = 4096

// A pendingAnswer is a message that was sent and not answered yet. It does not keep the ID itself, since
// that may be long.
type pendingAnswer struct {
	step *step
	id   uint64
	sent time.Duration // since the epoch of the session
	due  time.Duration // the same, or earlier if there is a schedule
	// alone says that nothing else was waited for when it was sent, so that a client that waits for
	// each answer would have sent it, too.
	alone bool
}

// pendingAnswers are in the order of sending.
type pendingAnswers struct {
	all []pendingAnswer
	// nextExpiry is no later than the first time at which one is overdue; 0: none is pending.
	nextExpiry time.Duration
}

func (p *pendingAnswers) full() bool { return len(p.all) == maxPending }

func (p *pendingAnswers) add(a pendingAnswer, timeout time.Duration) {
	p.all = append(p.all, a)
	if expiry := a.sent + timeout; p.nextExpiry == 0 || expiry < p.nextExpiry {
		p.nextExpiry = expiry
	}
}

// take removes and returns the oldest one for which f is true.
func (p *pendingAnswers) take(f func(*pendingAnswer) bool) (taken pendingAnswer, ok bool) {
	for i := range p.all {
		if !f(&p.all[i]) {
			continue
		}
		taken = p.all[i]
		copy(p.all[i:], p.all[i+1:])
		p.truncate(len(p.all) - 1)
		return taken, true
	}
	return taken, false
}

// truncate keeps the first n. When there are none it keeps little memory.
func (p *pendingAnswers) truncate(n int) {
	const small = 16
	p.all = p.all[:n]
	if n > 0 {
		return
	}
	p.nextExpiry = 0
	if cap(p.all) > small {
		p.all = nil
	}
}

// expire removes those that are overdue at now, and calls f with each. timeout returns the time that one may
// take.
func (p *pendingAnswers) expire(now time.Duration, timeout func(*step) time.Duration, f func(*pendingAnswer)) {
	if p.nextExpiry == 0 || now < p.nextExpiry {
		return
	}
	kept := 0
	p.nextExpiry = 0
	for i := range p.all {
		a := p.all[i]
		expiry := a.sent + timeout(a.step)
		if expiry <= now {
			f(&a)
			continue
		}
		p.all[kept] = a
		kept++
		if p.nextExpiry == 0 || expiry < p.nextExpiry {
			p.nextExpiry = expiry
		}
	}
	p.truncate(kept)
}
