package schedule

import "time"

// A Queue holds values until they are due. What is due at the same time comes in any order. The zero value
// is empty. A Queue is for one goroutine at a time.
type Queue[T any] struct {
	heap  []item[T] // the earliest is the first; the parent of i is (i-1)/children
	taken bool      // the first was taken, and its place is free for the next that is added
}

type item[T any] struct {
	due   time.Duration
	value T
}

// children is how many children a node of the heap has: with four, it is half as deep as with two, and
// they are next to each other in memory.
const children = 4

// Len returns how many values there are.
func (q *Queue[T]) Len() int {
	if q.taken {
		return len(q.heap) - 1
	}
	return len(q.heap)
}

// Add adds a value that is due at a time. If it follows a Take, it costs less than it would otherwise:
// what is due regularly is taken and added again.
func (q *Queue[T]) Add(due time.Duration, value T) {
	if q.taken {
		q.taken = false
		q.heap[0] = item[T]{due, value}
		q.siftDown()
		return
	}
	q.heap = append(q.heap, item[T]{due, value})
	q.siftUp()
}

// Next returns the time at which the next value is due. It returns false if there is none.
func (q *Queue[T]) Next() (due time.Duration, ok bool) {
	q.closeGap()
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].due, true
}

// Take removes and returns a value that is due by now, the earliest, and the time for which it was. It
// returns false if there is none.
func (q *Queue[T]) Take(now time.Duration) (value T, due time.Duration, ok bool) {
	q.closeGap()
	if len(q.heap) == 0 || q.heap[0].due > now {
		return value, 0, false
	}
	first := q.heap[0]
	q.heap[0].value = value // the zero value: what was taken can be freed
	q.taken = true
	return first.value, first.due, true
}

// closeGap fills the place of the value that was taken.
func (q *Queue[T]) closeGap() {
	if !q.taken {
		return
	}
	q.taken = false
	last := len(q.heap) - 1
	q.heap[0] = q.heap[last]
	q.heap[last] = item[T]{}
	q.heap = q.heap[:last]
	if last > 0 {
		q.siftDown()
	}
}

// siftUp moves the last item to its place.
func (q *Queue[T]) siftUp() {
	i := len(q.heap) - 1
	moved := q.heap[i]
	for i > 0 {
		parent := (i - 1) / children
		if q.heap[parent].due <= moved.due {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = moved
}

// siftDown moves the first item to its place.
func (q *Queue[T]) siftDown() {
	i, moved := 0, q.heap[0]
	for {
		first := children*i + 1
		if first >= len(q.heap) {
			break
		}
		least := first
		for child := first + 1; child < min(first+children, len(q.heap)); child++ {
			if q.heap[child].due < q.heap[least].due {
				least = child
			}
		}
		if q.heap[least].due >= moved.due {
			break
		}
		q.heap[i] = q.heap[least]
		i = least
	}
	q.heap[i] = moved
}
