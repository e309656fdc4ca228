//go:build linux

package epoll

import (
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/internal/timing"
)

// tick is the resolution of the deadlines that a loop keeps.
const tick = timing.Instant(10 * time.Millisecond)

// A deadlineQueue has the connections of a loop that have a deadline, each to be checked when the
// deadline may have passed. Moving a deadline into the future costs nothing until then. A deadline
// beyond a revolution of the wheel is checked once a revolution. Any goroutine may call add; the
// other methods belong to the loop.
type deadlineQueue struct {
	clock   func() timing.Instant
	entries atomic.Int32 // in the wheel
	mu      sync.Mutex   // of the fields below, and of the place of each Conn
	wheel   timing.Wheel[*Conn]
	taken   []*Conn
}

// add has c checked at the given time or earlier. It reports whether the loop has to be woken,
// since it may sleep for longer.
func (q *deadlineQueue) add(c *Conn, at timing.Instant) (wakeup bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	due := int64(at/tick) + 1
	if c.place != 0 && q.wheel.TickOf(c.place) <= due {
		return false
	}
	c.place, wakeup = q.wheel.Add(c, due, int64(q.clock()/tick))
	q.entries.Store(int32(q.wheel.Len()))
	return wakeup
}

// due takes the connections that are to be checked now. The slice is valid until the next call.
func (q *deadlineQueue) due() []*Conn {
	if q.entries.Load() == 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.taken)
	q.taken = q.taken[:0]
	q.wheel.Take(int64(q.clock()/tick), func(c *Conn, from timing.Place) {
		if c.place == from { // else it was added again, to be checked earlier
			c.place = 0
			q.taken = append(q.taken, c)
		}
	})
	q.entries.Store(int32(q.wheel.Len()))
	return q.taken
}

// next returns when the loop has to call due; 0: not at all.
func (q *deadlineQueue) next() timing.Instant {
	if q.entries.Load() == 0 {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(timing.Instant(q.wheel.Next())*tick, 1)
}

// SetReadDeadline is that of net.Conn. After Close and Linger it returns net.ErrClosed.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.has(lingering) || c.ref.closed() {
		return net.ErrClosed
	}
	c.readDeadline = timing.InstantOf(t)
	if c.has(pushed) {
		c.scheduleDeadlineLocked()
	} else if c.has(pulled) {
		c.in.waiter.Wake()
	}
	return nil
}

// SetWriteDeadline is that of net.Conn, also for what is queued.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ref.closed() {
		return net.ErrClosed
	}
	c.writeBehindLocked() // it was to be written before the new deadline
	c.writeDeadline = timing.InstantOf(t)
	if c.writeDeadline != 0 {
		c.state.Or(limited)
	} else {
		c.state.And(^uint32(limited))
	}
	c.scheduleDeadlineLocked()
	if c.out != nil {
		c.out.broadcast() // calls of Drain keep the deadline
	}
	return nil
}

// scheduleDeadlineLocked puts the connection in the loop's deadlineQueue if it has a deadline that
// the loop keeps.
func (c *Conn) scheduleDeadlineLocked() {
	if c.ref.closed() { // else its last deadline would keep it in memory
		return
	}
	at := timing.Instant(0)
	if c.has(pushed | lingering) {
		at = c.readDeadline
	}
	if c.out.queued() > 0 && c.writeDeadline != 0 && (at == 0 || c.writeDeadline < at) {
		at = c.writeDeadline
	}
	if at != 0 && c.loop.deadlines.add(c, at) {
		c.loop.wakeup()
	}
}

// checkDeadlines acts on deadlines that have passed. The loop calls it.
func (c *Conn) checkDeadlines() {
	c.mu.Lock()
	writing := c.out.queued() > 0 && c.writeDeadline.Passed()
	if writing {
		c.failQueueLocked(os.ErrDeadlineExceeded)
	}
	reading := c.readDeadline.Passed() && c.has(pushed|lingering)
	if !reading {
		c.scheduleDeadlineLocked()
	}
	c.mu.Unlock()
	switch s := c.state.Load(); {
	case s&lingering != 0:
		if reading || writing {
			c.finishLinger(os.ErrDeadlineExceeded)
		}
	case s&pushed == 0 || s&finished != 0:
	case reading:
		c.endReceiver(os.ErrDeadlineExceeded)
	case writing && s&paused == 0:
		c.deliverKept()
		c.rearm()
	}
}
