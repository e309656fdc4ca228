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

// An instant is a time in nanoseconds since the process began, by the monotonic clock.
// Zero is no time at all.
type instant int64

var began = time.Now()

func now() instant { return instant(time.Since(began)) }

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return max(instant(t.Sub(began)), 1)
}

// time returns what instantOf was given.
func (i instant) time() time.Time {
	if i == 0 {
		return time.Time{}
	}
	return began.Add(time.Duration(i))
}

// passed reports whether a deadline was set and is over.
func (i instant) passed() bool { return i != 0 && now() >= i }

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

// SetReadDeadline is that of net.Conn. After Linger it returns net.ErrClosed.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(lingering) || c.uses.closed() {
		return net.ErrClosed
	}
	c.readDeadline = instantOf(t)
	if c.is(pushed) {
		c.schedule()
	} else if c.is(pulled) {
		c.in.wake()
	}
	return nil
}

// SetWriteDeadline is that of net.Conn, also for what is queued.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uses.closed() {
		return net.ErrClosed
	}
	c.writeDeadline = instantOf(t)
	c.schedule()
	if c.out != nil {
		c.out.tell() // those who wait for room keep the deadline
	}
	return nil
}

// schedule puts the connection on the loop's wheel if a deadline matters to the loop. The
// lock is held.
func (c *Conn) schedule() {
	if c.uses.closed() { // else its last deadline would keep it in memory
		return
	}
	at := instant(0)
	if c.is(pushed | lingering) {
		at = c.readDeadline
	}
	if c.out.queued() > 0 && c.writeDeadline != 0 && (at == 0 || c.writeDeadline < at) {
		at = c.writeDeadline
	}
	if at != 0 && c.loop.deadlines.add(c, at) {
		c.loop.hurry()
	}
}

// expire sees to deadlines that have passed.
func (c *Conn) expire() {
	c.mu.Lock()
	writing := c.out.queued() > 0 && c.writeDeadline.passed()
	if writing {
		c.failQueue(os.ErrDeadlineExceeded)
	}
	reading := c.readDeadline.passed() && c.is(pushed|lingering)
	if !reading {
		c.schedule()
	}
	c.mu.Unlock()
	switch s := c.state.Load(); {
	case s&lingering != 0:
		if reading || writing {
			c.stopLingering(os.ErrDeadlineExceeded)
		}
	case s&pushed == 0 || s&ended != 0:
	case reading:
		c.over(os.ErrDeadlineExceeded)
	case writing && s&paused == 0:
		c.deliverKept()
		c.rearm()
	}
}
