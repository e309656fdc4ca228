//go:build linux

package epoll

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tick is how exact deadlines of a loop are.
	tick = instant(10 * time.Millisecond)

	// slots is how many ticks ahead the wheel reaches. Who has a later deadline is
	// looked at once a revolution.
	slots = 512
)

// A wheel has the connections that have a deadline, each in the slot of the tick at which
// it is looked at next. Moving a deadline on costs nothing until that tick. Any goroutine
// may add; the rest belongs to the loop.
type wheel struct {
	clock   func() instant
	entries atomic.Int32 // in slots
	mu      sync.Mutex
	slots   [slots][]*Conn
	done    int64 // the last tick that was taken
	next    int64 // no entry is due before this tick
	taken   []*Conn
}

// add sees to it that c is looked at when at has come, or earlier. It reports whether the
// loop may have gone to sleep for longer.
func (w *wheel) add(c *Conn, at instant) (sooner bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.entries.Load() == 0 {
		w.done = int64(w.clock()/tick) - 1
		w.next = w.done + slots
	}
	due := min(max(int64(at/tick)+1, w.done+1), w.done+slots-1)
	if c.slot != 0 && w.tickOf(c.slot) <= due {
		return false
	}
	slot := uint16(due % slots)
	c.slot = slot + 1
	w.slots[slot] = append(w.slots[slot], c)
	w.entries.Add(1)
	if due >= w.next {
		return false
	}
	w.next = due
	return true
}

// tickOf returns the tick at which a slot, as Conn.slot names it, is taken next.
func (w *wheel) tickOf(slot uint16) int64 {
	first := w.done + 1
	return first + (int64(slot)-1-first%slots+slots)%slots
}

// due takes the connections that are to be looked at now. The slice is valid until the
// next call.
func (w *wheel) due() []*Conn {
	if w.entries.Load() == 0 {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.taken)
	w.taken = w.taken[:0]
	for today := int64(w.clock() / tick); w.done < today && w.entries.Load() > 0; {
		w.done++
		w.take(uint16(w.done % slots))
	}
	w.findNext()
	return w.taken
}

// take empties a slot. Who has moved to an earlier one meanwhile is not taken again.
func (w *wheel) take(slot uint16) {
	for _, c := range w.slots[slot] {
		if c.slot == slot+1 {
			c.slot = 0
			w.taken = append(w.taken, c)
		}
	}
	w.entries.Add(-int32(len(w.slots[slot])))
	w.slots[slot] = nil
}

func (w *wheel) findNext() {
	if w.entries.Load() == 0 {
		return
	}
	for w.next = max(w.next, w.done+1); len(w.slots[w.next%slots]) == 0; {
		w.next++
	}
}

// wake returns when the loop must look at the wheel; 0: it needn't.
func (w *wheel) wake() instant {
	if w.entries.Load() == 0 {
		return 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return max(instant(w.next)*tick, 1)
}
