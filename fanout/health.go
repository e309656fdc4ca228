package fanout

import (
	"cmp"
	"errors"
	"maps"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// maxTargetStates is how many hosts of SlotOptions.Targets and Choose are remembered.
const maxTargetStates = 1 << 14

// forgottenAfter is when a failure of such a host is no longer reported, if nobody connects to it.
const forgottenAfter = time.Hour

// TargetStats says how a Target does.
type TargetStats struct {
	// Index is the Target's index in Options.Targets; -1: it is one of Choose or of SlotOptions. Those
	// that have the same host, port and source address count as one Target.
	Index int

	Host   string // host and port, or the path of a Unix socket
	Source string // the IP address of Config.Dialer.LocalAddr; "": it isn't set

	Up     int    // slots whose connection is to this Target
	Failed uint64 // attempts and connections that have failed because of the Target

	// Healthy is false while the Target is avoided, or would be with a Failover: from a number of
	// failures in a row until an attempt has succeeded.
	Healthy bool

	Failures     int       // in a row
	AvoidedUntil time.Time // when the next attempt is to find out whether it works again; zero if Healthy
	Err          error     // of the last failure; nil after a success
}

// A targetKey is what a targetState is found by.
type targetKey struct {
	index  int // in Options.Targets, or -1
	host   string
	source string
}

// A targetState is what all slots together have learnt of a Target. The lock of the targetMemory guards
// it.
type targetState struct {
	targetKey
	avoidance
	failures    int // in a row
	total       uint64
	err         error
	permanent   bool      // the last failure was, says Options.Permanent
	pausedUntil time.Time // for so long the server asks for a pause; zero: it doesn't
}

// A targetMemory has the states of all Targets.
type targetMemory struct {
	failures int // until a Target is avoided
	times    avoidTimes

	mu     sync.Mutex
	others map[targetKey]*targetState // of those that are not in Options.Targets
}

func newTargetMemory(f *Failover) *targetMemory {
	var complete Failover
	if f != nil {
		complete = *f
	}
	complete.complete()
	return &targetMemory{
		failures: complete.Failures,
		times:    avoidTimes{complete.Avoid, complete.AvoidMax},
		others:   map[targetKey]*targetState{},
	}
}

// keyOf returns the key of a Target, whose host is known.
func keyOf(t *Target, index int, host string) targetKey {
	k := targetKey{index: index, host: host}
	if d := t.Config.Dialer; d != nil {
		if tcp, ok := d.LocalAddr.(*net.TCPAddr); ok && len(tcp.IP) > 0 {
			k.source = tcp.IP.String()
		}
	}
	return k
}

// stateOf returns the state of a Target that is not one of Options.Targets.
func (m *targetMemory) stateOf(t *Target, host string) *targetState {
	k := keyOf(t, -1, host)
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.others[k]
	if s == nil {
		m.makeRoomLocked()
		s = &targetState{targetKey: k}
		m.others[k] = s
	}
	return s
}

// makeRoomLocked forgets one of a few states, if there are too many: one that works or, else, that has
// failed the longest time ago. Those who still use it lose only what others learn.
func (m *targetMemory) makeRoomLocked() {
	if len(m.others) < maxTargetStates {
		return
	}
	var oldest *targetState
	looked := 0
	for _, s := range m.others { // in random order
		if oldest == nil || s.failedAt().Before(oldest.failedAt()) {
			oldest = s
		}
		if looked++; looked == 8 {
			break
		}
	}
	delete(m.others, oldest.targetKey)
}

// failedAt returns when it has failed, if it has not succeeded since.
func (s *targetState) failedAt() time.Time {
	if s.failures == 0 {
		return time.Time{}
	}
	return s.failed
}

// failLocked counts a failure. atOnce says that it is avoided after the first one. It reports whether
// the Target is avoided from now on.
func (m *targetMemory) failLocked(s *targetState, err error, atOnce bool) (avoided bool) {
	now := time.Now()
	s.failures++
	s.total++
	s.err, s.permanent = err, false
	worked := s.works()
	s.failed = now
	pause := retryAfter(err, now)
	if atOnce || pause > 0 || s.failures >= m.failures || !worked {
		s.fail(now, m.times)
	}
	if pause > 0 {
		s.pausedUntil = now.Add(pause)
		s.extend(s.pausedUntil)
	}
	return worked && !s.works()
}

// succeedLocked counts a success. It reports whether the Target was avoided.
func (m *targetMemory) succeedLocked(s *targetState) (again bool) {
	again = !s.works()
	s.succeed(time.Now())
	s.failures, s.err, s.permanent, s.pausedUntil = 0, nil, false, time.Time{}
	return again
}

// targetSet returns the Targets of the slot, nil if Choose returns them.
func (s *Slot) targetSet() *targetSet {
	if own := s.rareOrZero().targets; own != nil {
		return own
	}
	return s.group.targets
}

// choose sets what the attempt is to connect to.
func (a *attempt) choose() {
	s, g := a.slot, a.slot.group
	set := s.targetSet()
	if set == nil {
		t := g.options.Choose(s)
		a.target = &t
		return
	}
	s.mu.Lock()
	failed := int(s.failedTarget) - 1
	s.mu.Unlock()
	m := g.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	c := set.chooseLocked(m, s.Number(), failed, time.Now())
	a.set, a.choice, a.target, a.state = set, c, &set.targets[c.target], set.states[c.target]
}

// noteSuccess remembers that the attempt has connected and that OnConnect has succeeded.
func (a *attempt) noteSuccess() {
	if a.rotated != nil {
		a.rotated.ended(a.slot.group.addresses, true)
	}
	a.slot.noteTarget(a.state, 0, nil)
}

// noteFailure remembers the failure, if it says something about what the attempt was to connect to.
func (a *attempt) noteFailure() {
	if !a.blamesTarget() {
		return
	}
	if a.rotated != nil {
		a.rotated.ended(a.slot.group.addresses, false)
	}
	a.slot.noteTarget(a.state, a.choice.target, a.err)
}

// noteLoss remembers the loss of a connection, if its cause is that of other slots, too.
func (l *link) noteLoss(s *Slot, err error) {
	if !s.group.closing() && (errors.Is(err, websock.ErrIdle) || leaves(err)) {
		index := 0
		if set := s.targetSet(); set != nil {
			index = max(slices.Index(set.states, l.target), 0)
		}
		s.noteTarget(l.target, index, err)
	}
}

// leaves reports whether the server has closed the connection since it serves nobody for a while.
func leaves(err error) bool {
	var closed *websock.CloseError
	return errors.As(err, &closed) && !closed.Local && (closed.Code == websock.CloseServiceRestart || closed.Code == websock.CloseTryAgainLater)
}

// noteTarget remembers that something has failed because of a Target, or, without an error, that an
// attempt has succeeded. index is that of the Target in its set, if it is of one.
func (s *Slot) noteTarget(t *targetState, index int, err error) {
	g := s.group
	s.mu.Lock()
	if err == nil {
		s.failedTarget = 0
	} else {
		s.failedTarget = uint16(min(index+1, math.MaxUint16))
	}
	s.mu.Unlock()
	m := g.memory
	m.mu.Lock()
	var changed bool
	if err == nil {
		changed = m.succeedLocked(t)
	} else {
		changed = m.failLocked(t, err, leaves(err))
	}
	m.mu.Unlock()
	if set := s.targetSet(); changed && set != nil && set.failover {
		g.rechoose(t, err)
	}
}

// failsOver is called after a permanent failure. It reports whether the slot goes on nevertheless, since
// the failure is the Target's, and another one may do.
func (a *attempt) failsOver() bool {
	if a.set == nil || !a.set.failover || !a.blamesTarget() {
		return false
	}
	m := a.slot.group.memory
	m.mu.Lock()
	worked := a.state.works()
	a.state.permanent = true
	a.state.fail(time.Now(), m.times)
	other := slices.ContainsFunc(a.set.states, func(s *targetState) bool { return !s.permanent })
	m.mu.Unlock()
	if worked {
		a.slot.group.rechoose(a.state, a.err)
	}
	return other
}

// hasOther reports whether a slot need not wait until a Target works again, as another one works.
func (m *targetMemory) hasOther(set *targetSet, failed *targetState) bool {
	if set == nil || failed == nil || !set.failover {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return !failed.works() && slices.ContainsFunc(set.states, (*targetState).works)
}

// Targets says how the Targets do: first those of Options.Targets and then, by Host and Source, those of
// Choose and SlotOptions to which a slot is connected or that have failed and not succeeded since. It
// visits every slot.
func (g *Group) Targets() []TargetStats {
	conns := map[targetKey]int{}
	for s := range g.Slots() {
		s.mu.Lock()
		if s.phase == up {
			conns[s.link.target.targetKey]++
		}
		s.mu.Unlock()
	}
	m := g.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	all := map[targetKey]TargetStats{}
	for key, n := range conns {
		all[key] = (&targetState{targetKey: key}).statsLocked(n) // maybe forgotten
	}
	for key, s := range m.others {
		if conns[key] > 0 || now.Sub(s.failedAt()) < forgottenAfter {
			all[key] = s.statsLocked(conns[key])
		}
	}
	if g.targets != nil {
		for _, s := range g.targets.states {
			all[s.targetKey] = s.statsLocked(conns[s.targetKey])
		}
	}
	return slices.SortedFunc(maps.Values(all), func(a, b TargetStats) int {
		return cmp.Or(cmp.Compare(uint(a.Index), uint(b.Index)), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Source, b.Source))
	})
}

func (s *targetState) statsLocked(up int) TargetStats {
	return TargetStats{
		Index:        s.index,
		Host:         s.host,
		Source:       s.source,
		Up:           up,
		Failed:       s.total,
		Healthy:      s.works(),
		Failures:     s.failures,
		AvoidedUntil: s.until,
		Err:          s.err,
	}
}
