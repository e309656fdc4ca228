package sim

import (
	"math/rand/v2"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
)

// A holder is the simulated connections of a member. It dials key by key at the rate that the member
// is given, as a fanout.Group with a Burst of 1 does; keys of a partition are counted, and are not
// kept one by one. What happened since it was last looked at is worked out when it is looked at again.
type holder struct {
	n     *node
	rng   *rand.Rand
	parts map[int]*part

	rate     float64
	next     time.Duration // when the next attempt may begin
	waiting  bool          // keys have been waiting since the last attempt
	advanced time.Duration // until when everything is worked out

	queue    fifo[*batch]  // keys that wait for their turn
	underWay fifo[attempt] // attempts without an outcome; all take the same time
	retries  fifo[attempt] // keys that wait before they are dialled again

	opened   uint64
	backlog  int // keys that have had no outcome yet
	told     int // the backlog that the member was told of
	ticking  bool
	reported time.Duration // when the member has looked
	reports  int           // how often it has, since time has passed
	settled  []*part       // their keys have all had an outcome, and the member hasn't been told
	keys     int
	up       int
	cutting  bool
}

// A part is a partition that the member holds.
type part struct {
	p        int
	token    uint64
	keys, up int
	untried  int // keys that have had no outcome
	draining bool
	gone     bool
}

// A batch is some keys of a partition.
type batch struct {
	part  *part
	keys  int
	again bool // they have been dialled before
}

// An attempt is one key that is being dialled, or waits.
type attempt struct {
	part  *part
	at    time.Duration
	again bool
}

// catchUp is what a Group makes up for if attempts began later than they might have.
const catchUp = 100 * time.Millisecond

func newHolder(n *node) *holder {
	return &holder{n: n, rng: rand.New(rand.NewPCG(n.w.sc.seed, uint64(n.number)<<32|2)), parts: map[int]*part{}, advanced: n.w.now()}
}

// advanceLocked works out what has happened until now.
func (h *holder) advanceLocked() {
	now := h.n.w.now()
	if h.n.pausedLocked() || h.n.dead || now <= h.advanced {
		return
	}
	for {
		dial, outcome, retry := h.nextDialLocked(), h.underWay.first().due(), h.retries.first().due()
		at := min(dial, outcome, retry)
		if at > now {
			break
		}
		switch at {
		case outcome:
			h.outcomeLocked(h.underWay.pop(), at)
		case retry:
			a := h.retries.pop()
			if !a.part.draining {
				h.queue.push(&batch{part: a.part, keys: 1, again: a.again})
			}
		default:
			h.dialLocked(at)
		}
		h.advanced = max(h.advanced, at)
	}
	h.advanced = now
}

func (a *attempt) due() time.Duration {
	if a == nil {
		return never
	}
	return a.at
}

const never = time.Duration(1 << 62)

// nextDialLocked returns when the next key is dialled.
func (h *holder) nextDialLocked() time.Duration {
	for h.queue.len() > 0 {
		if b := *h.queue.first(); b.keys > 0 && !b.part.draining {
			break
		}
		h.queue.pop()
	}
	if h.queue.len() == 0 || h.rate <= 0 {
		h.waiting = false
		return never
	}
	if !h.n.usesLocked((*h.queue.first()).part.p) {
		return never
	}
	late := time.Duration(0)
	if h.waiting {
		late = catchUp
	}
	h.next = max(h.next, h.advanced-late)
	h.waiting = true
	return max(h.next, h.advanced)
}

func (h *holder) dialLocked(at time.Duration) {
	b := *h.queue.first()
	b.keys--
	h.next += time.Duration(float64(time.Second) / h.rate)
	h.n.w.check.dialledLocked(h.n, b.part.p, at)
	h.underWay.push(attempt{b.part, at + h.n.dialTime, b.again})
}

// outcomeLocked is the end of an attempt: the key is connected, or is dialled again a second later.
func (h *holder) outcomeLocked(a attempt, at time.Duration) {
	if a.part.draining || a.part.gone {
		return
	}
	if !a.again {
		a.part.untried--
		h.backlog--
		if a.part.untried == 0 {
			h.settled = append(h.settled, a.part)
		}
	}
	if h.n.w.sc.failing > 0 && h.rng.Float64() < h.n.w.sc.failing {
		h.retries.push(attempt{a.part, at + time.Second, true})
		return
	}
	a.part.up++
	h.up++
	h.opened++
	if a.part.up == a.part.keys {
		h.n.w.check.connectedLocked(h.n, a.part.p, at)
	}
}

// loseLocked ends some connections, as a server that is restarted does. They are dialled again.
func (h *holder) loseLocked(share float64) {
	if h.cutting || h.n.pausedLocked() {
		return
	}
	h.advanceLocked()
	for p := range h.n.w.sc.partitions {
		part := h.parts[p]
		if part == nil || part.draining {
			continue
		}
		lost := int(float64(part.up) * share)
		part.up -= lost
		h.up -= lost
		if lost > 0 {
			h.queue.push(&batch{part, lost, true})
		}
	}
}

// Open, Drain, Cut, SetRate and Report are those of member.Holder.

func (h *holder) Open(p int, token uint64) {
	w := h.n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.n.dead {
		return
	}
	h.advanceLocked()
	w.logLocked("%s: opens %d, token %d", h.n, p, token)
	if h.parts[p] != nil || h.cutting {
		w.failLocked("%s opens partition %d, of which something is left", h.n, p)
		return
	}
	part := &part{p: p, token: token, keys: w.sc.keysOf(p)}
	if most := w.sc.rate + 3*float64(part.keys); float64(h.backlog) > most && !w.sc.uneven {
		w.failLocked("%s opens another partition, and %d keys wait already", h.n, h.backlog)
	}
	part.untried = part.keys
	h.parts[p] = part
	h.keys += part.keys
	h.backlog += part.keys
	w.check.openedLocked(h.n, p, token)
	if part.keys == 0 {
		w.check.connectedLocked(h.n, p, w.now())
		h.n.member.Settled(p)
		return
	}
	h.queue.push(&batch{part, part.keys, false})
	h.tickLocked()
}

// tickLocked has the member told of outcomes, for as long as any are expected.
func (h *holder) tickLocked() {
	if h.ticking {
		return
	}
	h.ticking = true
	h.n.w.afterLocked(between(h.rng, 20*time.Millisecond, 30*time.Millisecond), func() {
		h.n.awakeLocked(func() {
			h.ticking = false
			h.advanceLocked()
			for _, part := range h.settled {
				if !part.gone && !part.draining {
					h.n.member.Settled(part.p)
				}
			}
			h.settled = h.settled[:0]
			if h.told != h.backlog {
				h.told = h.backlog
				h.n.member.BacklogChanged()
			}
			if h.backlog > 0 {
				h.tickLocked()
			}
		})
	})
}

func (h *holder) Drain(p int) {
	w := h.n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.n.dead {
		return
	}
	h.advanceLocked()
	w.logLocked("%s: drains %d", h.n, p)
	part := h.parts[p]
	if part == nil || part.draining || h.cutting {
		w.failLocked("%s drains partition %d, which isn't open", h.n, p)
		return
	}
	part.draining = true
	h.backlog -= part.untried
	part.untried = 0
	w.check.drainsLocked(h.n, p)
	w.afterLocked(between(h.rng, 0, w.sc.drain), func() { h.drainedLocked(part) })
}

func (h *holder) drainedLocked(part *part) {
	h.n.awakeLocked(func() {
		if part.gone {
			return // cut meanwhile
		}
		h.endLocked(part)
		h.n.w.logLocked("%s: %d has ended", h.n, part.p)
		h.n.member.Ended(part.p)
	})
}

func (h *holder) endLocked(part *part) {
	part.gone = true
	delete(h.parts, part.p)
	h.keys -= part.keys
	h.up -= part.up
	h.n.w.check.endedLocked(h.n, part.p)
}

func (h *holder) Cut() {
	w := h.n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.n.dead {
		return
	}
	h.advanceLocked()
	w.logLocked("%s: cuts", h.n)
	if h.cutting {
		w.failLocked("%s cuts twice", h.n)
	}
	h.cutting = true
	h.queue, h.underWay, h.retries = fifo[*batch]{}, fifo[attempt]{}, fifo[attempt]{}
	h.backlog, h.settled = 0, nil
	w.check.cutsLocked(h.n)
	w.afterLocked(between(h.rng, 0, w.sc.cut), func() {
		h.n.awakeLocked(func() {
			for p := range w.sc.partitions {
				if part := h.parts[p]; part != nil {
					h.endLocked(part)
				}
			}
			h.cutting = false
			w.logLocked("%s: has cut", h.n)
			h.n.member.CutDone()
		})
	})
}

func (h *holder) SetRate(rate float64) {
	w := h.n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if h.n.dead {
		return
	}
	h.advanceLocked()
	if rate != h.rate {
		w.logLocked("%s: rate %.3f", h.n, rate)
	}
	h.rate = rate
	w.check.ratesLocked()
}

// Report is the first thing that the goroutine of a member does when time has passed. It does nothing
// while the process is paused.
func (h *holder) Report() (machine.Report, int) {
	h.n.waitAwake()
	w := h.n.w
	w.mu.Lock()
	defer w.mu.Unlock()
	h.spinsLocked()
	h.advanceLocked()
	return machine.Report{Keys: h.keys, Up: h.up, Opened: h.opened, Rate: h.rate}, h.backlog
}

// spinsLocked: a member that isn't told anything does nothing until time has passed.
func (h *holder) spinsLocked() {
	now := h.n.w.now()
	if h.reported != now {
		h.reported, h.reports = now, 0
	}
	if h.reports++; h.reports > 10_000 {
		h.n.w.failLocked("%s spins", h.n)
		h.n.w.mu.Unlock()
		<-h.n.killed
		h.n.w.mu.Lock()
	}
}

// A fifo is a queue.
type fifo[T any] struct {
	items []T
	head  int
}

func (f *fifo[T]) len() int { return len(f.items) - f.head }

func (f *fifo[T]) push(item T) { f.items = append(f.items, item) }

// first returns the first item, nil if there is none.
func (f *fifo[T]) first() *T {
	if f.len() == 0 {
		return nil
	}
	return &f.items[f.head]
}

func (f *fifo[T]) pop() T {
	item := f.items[f.head]
	f.head++
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
	} else if f.head > 1024 && f.head > len(f.items)/2 {
		f.items = append(f.items[:0], f.items[f.head:]...)
		f.head = 0
	}
	return item
}
