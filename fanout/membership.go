package fanout

import (
	"errors"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/gather"
)

// ErrKeyInUse is what Start, Group.Add and Group.Resize return for a key that another slot has.
var ErrKeyInUse = errors.New("fanout: another slot has this key")

// ErrRemoved is what calls return for a slot that was removed.
var ErrRemoved = errors.New("fanout: the slot was removed")

// SlotOptions says what a slot that is added differs in from others. All of it is optional.
type SlotOptions struct {
	// Targets are what the slot connects to, in place of Options.Targets and Options.Choose. If there
	// are several, the slot prefers one of them by their weights and its number, and goes to another one
	// if that fails: see Failover in the package's documentation. They must not be changed afterwards.
	Targets []Target

	// Value is what Slot.Value returns.
	Value any

	// Topics are those to which the slot is subscribed from the beginning.
	Topics []string
}

// Add adds a slot, which gets the lowest number that is free. It is dialed as soon as Pace allows
// or, if another slot that had the same key was removed and has not ended, after that. The cost
// doesn't depend on the number of slots.
//
// The error is ErrKeyInUse if another slot has the key, ErrClosed after Shutdown was called, or says
// what is wrong with the key or the Targets. A slot that is added without Targets needs those of
// Options, or Options.Choose.
func (g *Group) Add(key string, o SlotOptions) (*Slot, error) {
	if key == "" {
		return nil, errNoKey
	}
	targets, err := g.slotTargets(o.Targets)
	if err != nil {
		return nil, err
	}
	s := g.newSlot(key)
	if targets != nil {
		s.ensureRare().targets = targets
	}
	if o.Value != nil {
		s.ensureRare().value = o.Value
	}
	if err := g.admit(s); err != nil {
		return nil, err
	}
	defer g.doneRunning()
	for _, topic := range o.Topics {
		s.Subscribe(topic)
	}
	g.enqueue(s)
	return s, nil
}

// newSlot returns a slot that isn't a member yet.
func (g *Group) newSlot(key string) *Slot {
	return &Slot{group: g, key: key, phase: enlisted, intent: goOn}
}

// admit makes a slot a member. If there is no error, Shutdown waits for doneRunning.
func (g *Group) admit(s *Slot) error {
	m := &g.members
	m.mu.Lock()
	defer m.mu.Unlock()
	return g.admitLocked(s)
}

// admitLocked is called with the lock of members held. A Group that is closing admits nobody, so
// that Shutdown closes all slots.
func (g *Group) admitLocked(s *Slot) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := &g.members
	key := s.key
	if key == "" {
		key = m.nextKeyLocked()
	}
	switch {
	case g.closing():
		return ErrClosed
	case m.findLocked(key) != nil:
		return ErrKeyInUse
	case m.count >= maxSlots:
		return errSize
	}
	g.running++
	g.inState[Waiting]++
	m.addLocked(s)
	return nil
}

// Remove removes the slot that has the key, as Slot.Remove does. The error is ErrUnknownKey if there
// is none.
func (g *Group) Remove(key string) error {
	s := g.Find(key)
	if s == nil {
		return ErrUnknownKey
	}
	s.Remove()
	return nil
}

// Remove removes the slot from its Group, and waits for nothing: at once Find, Slots, Len,
// broadcasts and topics no longer know it, sends on it return ErrRemoved, and Add may use its key and
// its number for another slot.
//
// What was sent before is written, then the connection is closed with code 1000, within the
// Limits.CloseTimeout of its Config. An attempt to connect is aborted at once. OnDown is told of the
// end of both, with the Reason Ended; a slot that has neither ends without a call. Messages that were
// kept for the next connection are dropped, and OnUnsent is told, with ErrRemoved. When all of that
// is done Slot.Context ends. A slot that has the same key is dialed only after that, so a key never
// has two connections.
//
// Removing a slot once more does nothing.
func (s *Slot) Remove() { s.remove(false) }

// Abort is Remove without a close frame: the connection is aborted, and messages that were not
// written are lost. It may follow Remove, if that takes too long.
func (s *Slot) Abort() { s.remove(true) }

func (s *Slot) remove(aborts bool) {
	s.beginRemoval(aborts).carryOut()
}

// beginRemoval removes the slot from its Group. The request that it returns has to be carried out.
func (s *Slot) beginRemoval(aborts bool) *request {
	r := &request{slot: s, wish: wishLeave, cause: ErrRemoved, code: websock.CloseNormal, aborts: aborts}
	r.removeMember()
	s.group.topics.removeSlot(s)
	return r
}

// removeMember makes the slot no longer a member and has it end. That is one step for Stats, so that the
// traffic of the connection is counted once, and for a slot with the same key that wants to dial.
func (r *request) removeMember() {
	s, g := r.slot, r.slot.group
	g.counts.moving.Lock()
	defer g.counts.moving.Unlock()
	m := &g.members
	m.mu.Lock()
	defer m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.intent != leave {
		m.removeLocked(s)
	}
	r.applyLocked()
	switch s.phase {
	case choosing, connecting, up, notifying:
		if r.changed {
			m.endingLocked(s)
		}
	}
}

// finish is called once, when endedLocked has become true.
func (s *Slot) finish() {
	g := s.group
	s.mu.Lock()
	end := s.rareOrZero().end
	s.mu.Unlock()
	if end != nil {
		end(ErrRemoved)
	}
	next := g.members.ended(s)
	if next != nil {
		next.unblock()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inState[ending]--
	g.wakeWaitersLocked()
}

// unblock lets the slot be dialed if it has waited for the end of another one.
func (s *Slot) unblock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handleLocked(eventUnblocked)
}

// Resize adds or removes slots until there are n. Slots that are added get the lowest numbers that
// are free, and the keys of Options.Key; those with the highest numbers are removed, as Slot.Remove
// does. If others add or remove slots at the same time, Len() was n at some moment before Resize
// returns.
//
// The error is ErrKeyInUse, ErrClosed, that of an n that is negative or too large, or says that
// Options have neither Targets nor Choose. Slots that were added before stay.
func (g *Group) Resize(n int) error {
	if n < 0 || n > maxSlots {
		return errSize
	}
	var removals []*request
	defer func() { gather.Each(removals, (*request).session, (*request).carryOut) }()
	for {
		count, last, free := g.members.bounds()
		switch {
		case count == n:
			return nil
		case count > n:
			removals = append(removals, last.beginRemoval(false))
		default:
			if err := g.addNumber(free); err != nil {
				return err
			}
		}
	}
}

// addNumber adds a slot that has this number, unless the number is no longer the lowest one that is
// free.
func (g *Group) addNumber(number int) error {
	if !g.addRunningBefore(lifeClosing) { // Options.Key isn't called any more
		return ErrClosed
	}
	defer g.doneRunning()
	if _, err := g.slotTargets(nil); err != nil {
		return err
	}
	key := ""
	if g.options.Key != nil {
		if key = g.options.Key(number); key == "" {
			return errNoKey
		}
	}
	s := g.newSlot(key)
	added, err := g.admitNumber(s, number)
	if added {
		g.enqueue(s)
		g.doneRunning()
	}
	return err
}

func (g *Group) admitNumber(s *Slot, number int) (added bool, err error) {
	m := &g.members
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lowestFreeLocked() != number {
		return false, nil
	}
	err = g.admitLocked(s)
	return err == nil, err
}
