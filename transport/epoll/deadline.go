//go:build linux

package epoll

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// tick is how exact deadlines of a loop are.
const tick = instant(10 * time.Millisecond)

// A deadlineQueue has the connections of a loop that have a deadline, each to be looked at when
// that may have passed. To move a deadline on costs nothing until then; one that is further
// away than a revolution of the wheel is looked at once a revolution. Any goroutine may call
// add; the other methods belong to the loop.
type deadlineQueue struct {
	clock   func() instant
	entries atomic.Int32 // in the wheel
	mu      sync.Mutex   // of the wheel and the place of each Conn
	wheel   timing.Wheel[*Conn]
	taken   []*Conn
}

// add has c looked at when at has come, or earlier. It reports whether the loop may have gone to
// sleep for longer.
func (q *deadlineQueue) add(c *Conn, at instant) (sooner bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	due := int64(at/tick) + 1
	if c.place != 0 && q.wheel.TickOf(c.place) <= due {
		return false
	}
	c.place, sooner = q.wheel.Add(c, due, int64(q.clock()/tick))
	q.entries.Store(int32(q.wheel.Len()))
	return sooner
}

// due takes the connections that are to be looked at now. The slice is valid until the
// next call.
func (q *deadlineQueue) due() []*Conn {
	if q.entries.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.taken)
	q.taken = q.taken[:0]
	q.wheel.Take(int64(q.clock()/tick), func(c *Conn, from timing.Place) {
		if c.place == from { // else it has moved to an earlier one
			c.place = 0
			q.taken = append(q.taken, c)
		}
	})
	q.entries.Store(int32(q.wheel.Len()))
	return q.taken
}

// wake returns when the loop has to look at the queue; 0: it needn't.
func (q *deadlineQueue) wake() instant {
	if q.entries.Load() == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(instant(q.wheel.Next())*tick, 1)
}
