package fanout

import (
	"container/heap"
	"iter"
	"maps"
	"slices"
	"strconv"
	"sync"
)

// members are the slots of a Group. Each has a number of its own.
type members struct {
	mu       sync.RWMutex
	byNumber []*Slot          // nil: no slot has the number. The last one is never nil
	byKey    map[string]*Slot // those whose key isn't their number
	keys     int              // the most that byKey has had: what it has memory for
	free     numberHeap       // the numbers in byNumber that no slot has, and maybe larger ones
	count    int

	// ending has the slots that were removed and may still have a connection, by their keys.
	ending map[string]*endingSlot
}

// An endingSlot was removed and may still have a connection.
type endingSlot struct {
	slot *Slot
	next *Slot // that has the key now and waits for the end of slot; nil: none does
}

// addLocked gives a slot the lowest number that is free, and makes it a member.
func (m *members) addLocked(s *Slot) {
	number := m.lowestFreeLocked()
	s.number = int32(number)
	if number < len(m.byNumber) {
		heap.Pop(&m.free)
		m.byNumber[number] = s
	} else {
		m.byNumber = append(m.byNumber, s)
	}
	if s.key != "" {
		if m.byKey == nil {
			m.byKey = map[string]*Slot{}
		}
		m.byKey[s.key] = s
		m.keys = max(m.keys, len(m.byKey))
	}
	m.count++
}

// removeLocked makes a slot no longer a member.
func (m *members) removeLocked(s *Slot) {
	number := int(s.number)
	m.byNumber[number] = nil
	delete(m.byKey, s.key)
	m.count--
	if len(m.byKey) < m.keys/4 { // a map doesn't shrink
		m.byKey, m.keys = maps.Collect(maps.All(m.byKey)), len(m.byKey)
	}
	if number < len(m.byNumber)-1 {
		heap.Push(&m.free, number)
		return
	}
	for number > 0 && m.byNumber[number-1] == nil {
		number--
	}
	m.byNumber = m.byNumber[:number]
	if number < cap(m.byNumber)/4 {
		m.byNumber = slices.Clone(m.byNumber)
	}
	m.lowestFreeLocked() // forgets numbers that are too large
}

// lowestFreeLocked returns the number that the next slot gets.
func (m *members) lowestFreeLocked() int {
	if len(m.free) > 0 && m.free[0] < len(m.byNumber) {
		return m.free[0]
	}
	m.free = nil
	return len(m.byNumber)
}

// findLocked returns the slot that has the key, nil if there is none.
func (m *members) findLocked(key string) *Slot {
	if s := m.byKey[key]; s != nil {
		return s
	}
	number, err := strconv.Atoi(key)
	if err != nil || number < 0 || number >= len(m.byNumber) || strconv.Itoa(number) != key {
		return nil
	}
	if s := m.byNumber[number]; s != nil && s.key == "" {
		return s
	}
	return nil
}

func (m *members) find(key string) *Slot {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.findLocked(key)
}

// at returns the slot that has the number, nil if there is none.
func (m *members) at(number int) *Slot {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if number < 0 || number >= len(m.byNumber) {
		return nil
	}
	return m.byNumber[number]
}

// nextKeyLocked returns the key that the next slot has if it is its number.
func (m *members) nextKeyLocked() string { return strconv.Itoa(m.lowestFreeLocked()) }

// bounds returns the number of slots, the one that has the highest number, and the number that the
// next one gets.
func (m *members) bounds() (count int, last *Slot, free int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.byNumber) > 0 {
		last = m.byNumber[len(m.byNumber)-1]
	}
	return m.count, last, m.lowestFreeLocked()
}

func (m *members) len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.count
}

// batchSize is how many slots are taken with the lock held once.
const batchSize = 128

// all returns the slots in the order of their numbers. The lock isn't held while they are yielded.
// Slots that are added or removed meanwhile are yielded or not.
func (m *members) all() iter.Seq[*Slot] {
	return func(yield func(*Slot) bool) {
		var batch [batchSize]*Slot
		for next := 0; ; {
			var n int
			n, next = m.take(batch[:], next)
			for _, s := range batch[:n] {
				if !yield(s) {
					return
				}
			}
			if n == 0 {
				return
			}
		}
	}
}

// take puts the slots with the lowest numbers from a number on into batch. It returns how many
// there are, and the number from which to go on.
func (m *members) take(batch []*Slot, from int) (n, next int) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for next = from; n < len(batch) && next < len(m.byNumber); next++ {
		if s := m.byNumber[next]; s != nil {
			batch[n] = s
			n++
		}
	}
	return n, next
}

// leaving returns the slots that were removed and may still have a connection.
func (m *members) leaving() []*Slot {
	m.mu.RLock()
	defer m.mu.RUnlock()
	slots := make([]*Slot, 0, len(m.ending))
	for _, e := range m.ending {
		slots = append(slots, e.slot)
	}
	return slots
}

// everyone returns all slots, and those that were removed and may still have a connection.
func (m *members) everyone() iter.Seq[*Slot] {
	return func(yield func(*Slot) bool) {
		for s := range m.all() {
			if !yield(s) {
				return
			}
		}
		for _, s := range m.leaving() {
			if !yield(s) {
				return
			}
		}
	}
}

// endingLocked notes that a slot that was removed may still have a connection.
func (m *members) endingLocked(s *Slot) {
	if m.ending == nil {
		m.ending = map[string]*endingSlot{}
	}
	m.ending[s.Key()] = &endingSlot{slot: s}
}

// blocksLocked reports whether the slot has to wait for the end of another one that had its key. If
// so, ended returns it.
func (m *members) blocksLocked(s *Slot) bool {
	if len(m.ending) == 0 {
		return false
	}
	before := m.ending[s.Key()]
	if before == nil {
		return false
	}
	before.next = s
	return true
}

// ended forgets a slot that was removed, and returns the one that has waited for that; nil: there is
// none.
func (m *members) ended(s *Slot) (next *Slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := s.Key()
	e := m.ending[key]
	if e == nil || e.slot != s {
		return nil
	}
	delete(m.ending, key)
	if len(m.ending) == 0 {
		m.ending = nil // a map doesn't shrink
	}
	return e.next
}

// A numberHeap is a heap.Interface.
type numberHeap []int

func (h numberHeap) Len() int           { return len(h) }
func (h numberHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h numberHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push makes a numberHeap a heap.Interface.
func (h *numberHeap) Push(number any) { *h = append(*h, number.(int)) }

// Pop makes a numberHeap a heap.Interface.
func (h *numberHeap) Pop() any {
	last := len(*h) - 1
	number := (*h)[last]
	*h = (*h)[:last]
	return number
}
