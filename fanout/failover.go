package fanout

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// A Failover has slots with several Targets avoid those that fail: see Options.Failover.
type Failover struct {
	// Failures is after how many failures in a row, of all slots together, a Target is avoided. It is
	// avoided after the first one if the server has asked for that, with Retry-After or close code 1012
	// or 1013, and if the failure is permanent. 0: DefaultFailures.
	Failures int

	// Avoid is for how long a Target is avoided at first. The time doubles up to AvoidMax whenever it is
	// over and the attempt that one slot then makes does not succeed. 0: DefaultAvoid and
	// DefaultAvoidMax.
	Avoid, AvoidMax time.Duration
}

// The defaults of Failover. DefaultAvoid and DefaultAvoidMax are also for how long, at first and at
// most, an address of a Rotation is avoided after it has failed.
const (
	DefaultFailures = 3
	DefaultAvoid    = time.Second
	DefaultAvoidMax = time.Minute
)

func (f *Failover) complete() {
	f.Failures = max(orDefault(f.Failures, DefaultFailures), 1)
	f.Avoid = durationOr(f.Avoid, DefaultAvoid)
	f.AvoidMax = max(durationOr(f.AvoidMax, DefaultAvoidMax), f.Avoid)
}

var (
	errWeight     = errors.New("fanout: Target.Weight is not a number, or too large")
	errSpares     = errors.New("fanout: all Targets are spares, with negative weights")
	errNoFailover = errors.New("fanout: Target.Weight needs Options.Failover")
)

// A targetSet has the Targets of which a slot connects to one.
type targetSet struct {
	targets  []Target
	states   []*targetState // of each
	failover bool           // else each slot keeps to its own Target
	primary  []int          // the Targets that are not spares
	weight   float64        // of these together; 0: their weights are equal
}

// newTargetSet returns a set of Targets. stateOf returns the state of one, whose host it is given.
func newTargetSet(targets []Target, failover bool, stateOf func(i int, host string) *targetState) (*targetSet, error) {
	ts := &targetSet{targets: targets, states: make([]*targetState, len(targets)), failover: failover && len(targets) > 1}
	equal, first := true, math.NaN()
	for i := range targets {
		host, err := targets[i].host()
		if err != nil {
			return nil, err
		}
		ts.states[i] = stateOf(i, host)
		w := targets[i].Weight
		switch {
		case math.IsNaN(w) || math.IsInf(w, 0):
			return nil, errWeight
		case w != 0 && !failover:
			return nil, errNoFailover
		case w < 0:
			continue
		}
		w = ts.weightOf(i)
		if len(ts.primary) == 0 {
			first = w
		}
		equal = equal && w == first
		ts.primary = append(ts.primary, i)
		ts.weight += w
	}
	switch {
	case len(ts.primary) == 0:
		return nil, errSpares
	case math.IsInf(ts.weight, 0):
		return nil, errWeight
	}
	if equal {
		ts.weight = 0
	}
	return ts, nil
}

// optionTargets returns Options.Targets as a set, nil if there are none.
func (g *Group) optionTargets() (*targetSet, error) {
	o := &g.options
	if len(o.Targets) == 0 {
		return nil, nil
	}
	return newTargetSet(o.Targets, o.Failover != nil, func(i int, host string) *targetState {
		return &targetState{targetKey: keyOf(&o.Targets[i], i, host)}
	})
}

// slotTargets returns SlotOptions.Targets as a set, nil if the slot has none and can do without.
func (g *Group) slotTargets(targets []Target) (*targetSet, error) {
	if len(targets) > 0 {
		return newTargetSet(targets, true, func(i int, host string) *targetState {
			return g.memory.stateOf(&targets[i], host)
		})
	}
	if g.targets == nil && g.options.Choose == nil {
		return nil, errNoTarget
	}
	return nil, nil
}

func (ts *targetSet) weightOf(i int) float64 { return math.Abs(orDefault(ts.targets[i].Weight, 1)) }
func (ts *targetSet) isSpare(i int) bool     { return ts.targets[i].Weight < 0 }

// own returns the Target that the slot of a number prefers. However many slots there are, each Target is
// preferred by its share of them, but for a few.
func (ts *targetSet) own(number int) int {
	if ts.weight == 0 {
		return ts.primary[number%len(ts.primary)]
	}
	const golden = 2654435769 // 2^32 divided by the golden ratio: its multiples, modulo 2^32, are spread evenly
	at := float64(uint32(number)*golden) / (1 << 32) * ts.weight
	for _, i := range ts.primary {
		if at -= ts.weightOf(i); at < 0 {
			return i
		}
	}
	return ts.primary[len(ts.primary)-1] // after rounding
}

// order returns the Targets in the order in which the slot of a number prefers them: its own first, and
// the spares last. The others come in an order that is another one for each slot, so that the slots of
// a Target that fails are spread over the others by their weights.
func (ts *targetSet) order(number int) []int {
	type place struct {
		target, class int
		chance        float64
	}
	own := ts.own(number)
	places := make([]place, len(ts.targets))
	for i := range places {
		p := place{target: i, class: 1}
		p.chance = rand.New(rand.NewPCG(uint64(number), uint64(i))).ExpFloat64() / ts.weightOf(i)
		switch {
		case i == own:
			p.class = 0
		case ts.isSpare(i):
			p.class = 2
		}
		places[i] = p
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.chance, b.chance))
	})
	order := make([]int, len(places))
	for i, p := range places {
		order[i] = p.target
	}
	return order
}

// A choice is a Target of a set.
type choice struct {
	target  int
	probe   bool // the attempt finds out for all slots whether the Target works again
	instead bool // of the slot's own Target, which is avoided
}

// chooseLocked chooses the Target for the next attempt of the slot of a number. failed is the Target
// that failed last since the slot was up, or -1.
func (ts *targetSet) chooseLocked(m *targetMemory, number, failed int, now time.Time) (c choice) {
	own := ts.own(number)
	switch {
	case !ts.failover:
		return choice{target: own}
	case failed >= 0 || ts.states[own].active(now):
		c.target = ts.amongLocked(number, failed, now)
	default:
		c.target = own
	}
	s := ts.states[c.target]
	c.probe = !s.works() && !s.active(now)
	c.instead = failed < 0 && c.target != own
	s.try(now, m.times)
	return c
}

// isStaleLocked reports whether the slot of a number, whose attempt has not begun, had better choose
// again. It would then choose another Target.
func (ts *targetSet) isStaleLocked(c choice, number int, now time.Time) bool {
	works := func(i int) bool { return ts.states[i].works() }
	isPaused := func(s *targetState) bool { return s.pausedUntil.After(now) }
	switch s := ts.states[c.target]; {
	case !ts.failover || c.probe:
		return false
	case s.active(now):
		return slices.ContainsFunc(ts.states, (*targetState).works) ||
			isPaused(s) && slices.ContainsFunc(ts.states, func(s *targetState) bool { return !isPaused(s) })
	case ts.isSpare(c.target) && slices.ContainsFunc(ts.primary, works):
		return true
	}
	return c.instead && !ts.states[ts.own(number)].active(now)
}

// amongLocked returns one of the Targets that it makes most sense to try: one that works, as far as is
// known, if there is one, and a spare only if there is no other; else one that need not be avoided now.
// Of several it is the one that the slot prefers to the others or, after a failure, prefers next after
// the one that has failed. If all are to be avoided, it is the one that failed the longest time ago, of
// those whose server doesn't ask for a pause.
func (ts *targetSet) amongLocked(number, failed int, now time.Time) int {
	order := ts.order(number)
	after := slices.Index(order, failed) + 1
	order = slices.Concat(order[after:], order[:after])
	works := func(i int) bool { return ts.states[i].works() }
	due := func(i int) bool { return !ts.states[i].active(now) }
	for _, class := range []func(i int) bool{
		func(i int) bool { return works(i) && !ts.isSpare(i) },
		works,
		due,
	} {
		if at := slices.IndexFunc(order, class); at >= 0 {
			return order[at]
		}
	}
	return slices.MinFunc(order, func(a, b int) int {
		x, y := ts.states[a], ts.states[b]
		if c := later(x.pausedUntil, now).Compare(later(y.pausedUntil, now)); c != 0 {
			return c
		}
		return x.failed.Compare(y.failed)
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
