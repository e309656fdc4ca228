package timing

import "math"

// Slots is how many ticks one revolution of a Wheel has.
const Slots = 512

// A Wheel is a timing wheel: it sorts items by the tick at which they are due. It has neither
// clock, timer nor lock; its owner counts ticks and serializes all calls. The zero value is an
// empty wheel.
type Wheel[T any] struct {
	slots [Slots][]T
	count int   // items in slots
	done  int64 // the last tick that was taken
	next  int64 // no item is due before this tick
}

// A Place is the slot that holds an item. The zero value is no slot.
type Place uint16

func placeOf(tick int64) Place { return Place(tick%Slots) + 1 }

// Len returns how many items the wheel holds.
func (w *Wheel[T]) Len() int { return w.count }

// Add has Take return item at the given tick, or at the present tick now if that is later. An
// item that is due more than a revolution ahead is taken early, in the wheel's last slot. An item
// can't be removed: its owner remembers its Place and ignores what Take returns from any other.
//
// Add reports whether item is due sooner than all others.
func (w *Wheel[T]) Add(item T, tick, now int64) (at Place, sooner bool) {
	if w.count == 0 {
		w.done = now - 1
		w.next = math.MaxInt64
	}
	tick = min(max(tick, w.done+1), w.done+Slots-1)
	slot := &w.slots[tick%Slots]
	*slot = append(*slot, item)
	w.count++
	sooner = tick < w.next
	if sooner {
		w.next = tick
	}
	return placeOf(tick), sooner
}

// TickOf returns the tick at which a slot is taken next.
func (w *Wheel[T]) TickOf(at Place) int64 {
	first := w.done + 1
	return first + (int64(at-1)-first%Slots+Slots)%Slots
}

// Take removes the items of all ticks up to now and calls each with them, which may add items
// that are due later than now.
func (w *Wheel[T]) Take(now int64, each func(item T, from Place)) {
	for w.done = max(w.done, now-Slots); w.done < now && w.count > 0; {
		w.done++
		slot := &w.slots[w.done%Slots]
		items := *slot
		*slot = nil
		w.count -= len(items)
		for _, item := range items {
			each(item, placeOf(w.done))
		}
	}
	if w.count > 0 {
		for w.next = max(w.next, w.done+1); len(w.slots[w.next%Slots]) == 0; {
			w.next++
		}
	}
}

// Next returns the tick at which Take has to be called next. The wheel must not be empty.
func (w *Wheel[T]) Next() int64 { return w.next }
