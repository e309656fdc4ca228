package main

import (
	"container/heap"
	"time"
)

// A schedule says when devices have something to do. The next one comes first: it is a heap.
type schedule []appointment

type appointment struct {
	at     time.Time
	device int
	count  uint64 // of measurements
}

func (s *schedule) add(device int, at time.Time) { heap.Push(s, appointment{at: at, device: device}) }

// passed reports whether the time of the first appointment has come.
func (s schedule) passed(now time.Time) bool { return len(s) > 0 && !s[0].at.After(now) }

// delay puts the first appointment off.
func (s schedule) delay(d time.Duration) {
	s[0].at = s[0].at.Add(d)
	heap.Fix(&s, 0)
}

// Len, Less, Swap, Push and Pop make it a heap.Interface.
func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(appointment)) }
func (s *schedule) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}
