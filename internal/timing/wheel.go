package timing

import (
	"sync"
	"time"
)

const (
	// Tick is how late a Visitor may be visited.
	Tick = 20 * time.Millisecond

	// slots is how many ticks one revolution has.
	slots = 512
)

// A Visitor is visited when its time has come.
type Visitor interface {
	// Visit returns after which time it wants to be visited again; zero or less: never.
	// It must not block: the others wait.
	Visit() time.Duration
}

// A Wheel visits at the times that it was told. Its zero value is ready to use, and keeps to
// the clock of whoever calls Add first; see New. Its methods may be called from any goroutine,
// also from a Visit.
type Wheel struct {
	mu       sync.Mutex
	began    time.Time // tick 0
	slots    [slots][]visit
	visits   int         // in slots
	taken    int64       // all ticks up to this one were taken
	timer    *time.Timer // nil until there was a visit to wait for
	rings    int64       // the tick at which the timer does; 0: it doesn't
	visiting bool
	stopped  bool
}

type visit struct {
	tick int64
	to   Visitor
}

// New returns a Wheel that keeps to the clock of the caller from now on. A wheel of the whole
// process has to be one of these, made when the process begins: else its first visit may be
// that of a test in a testing/synctest bubble, whose clock stops.
func New() *Wheel { return &Wheel{began: time.Now()} }

// Add makes v be visited when d has passed. Where the clock is another than the wheel's, in a
// testing/synctest bubble, After does it.
func (w *Wheel) Add(d time.Duration, v Visitor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	if w.began.IsZero() {
		w.began = time.Now()
	}
	if w.otherClock() {
		After(d, v)
		return
	}
	if w.visits == 0 && !w.visiting {
		w.taken = w.now()
	}
	at := time.Since(w.began) + max(d, 0)
	tick := max(int64((at+Tick-1)/Tick), w.taken+1)
	w.slots[tick%slots] = append(w.slots[tick%slots], visit{tick, v})
	w.visits++
	if !w.visiting && (w.rings == 0 || tick < w.rings) {
		w.ringAt(tick)
	}
}

// Stop makes the wheel forget all visits: none begins any more, and nothing keeps the visitors
// in memory. It doesn't wait for a visit under way.
func (w *Wheel) Stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.slots, w.visits, w.rings = [slots][]visit{}, 0, 0
	if w.timer != nil {
		w.timer.Stop()
	}
}

func (w *Wheel) hasStopped() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stopped
}

// otherClock reports whether the caller has another clock than the wheel. That of a bubble
// begins in the year 2000 and shows the time since 1970 where others show that since the machine
// or the process began.
func (w *Wheel) otherClock() bool {
	const longest = 10 * 365 * 24 * time.Hour // that a process runs
	since := time.Since(w.began)
	return since < 0 || since > longest
}

// now returns the tick that has passed last.
func (w *Wheel) now() int64 { return int64(time.Since(w.began) / Tick) }

// Len returns how many visits are to come.
func (w *Wheel) Len() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.visits
}

// ringAt sets the timer. The lock is held.
func (w *Wheel) ringAt(tick int64) {
	w.rings = tick
	d := time.Duration(tick)*Tick - time.Since(w.began)
	if w.timer == nil {
		w.timer = time.AfterFunc(d, w.visitDue)
	} else {
		w.timer.Reset(d)
	}
}

// visitDue makes the visits whose time has come.
func (w *Wheel) visitDue() {
	w.mu.Lock()
	if w.visiting || w.stopped { // the timer was set anew while it rang
		w.mu.Unlock()
		return
	}
	w.visiting = true
	due := w.takeDue()
	w.mu.Unlock()

	for _, v := range due {
		if w.hasStopped() {
			break
		}
		if again := v.to.Visit(); again > 0 {
			w.Add(again, v.to)
		}
	}

	w.mu.Lock()
	w.visiting = false
	if w.visits == 0 {
		w.rings = 0
	} else {
		w.ringAt(w.next())
	}
	w.mu.Unlock()
}

// takeDue empties the slots of the ticks that have passed, but for the visits of a later
// revolution.
func (w *Wheel) takeDue() (due []visit) {
	now := w.now()
	for first := max(w.taken, now-slots); first < now; {
		first++
		slot := &w.slots[first%slots]
		later := (*slot)[:0]
		for _, v := range *slot {
			if v.tick <= now {
				due = append(due, v)
			} else {
				later = append(later, v)
			}
		}
		if len(later) == 0 {
			later = nil
		}
		*slot = later
	}
	w.taken = now
	w.visits -= len(due)
	return due
}

// next returns the next tick that has a visit, or whose slot has one of a later revolution.
func (w *Wheel) next() int64 {
	tick := w.taken + 1
	for len(w.slots[tick%slots]) == 0 {
		tick++
	}
	return tick
}
