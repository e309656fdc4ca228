package fanout

import (
	"runtime"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/timing"
)

// A crew sends what waits in outboxes, where a send may wait for the peer. A few goroutines
// do it, and more when these are held up: at most one for each peer that doesn't read. They
// end when nothing is to do.
type crew struct {
	group *Group

	mu       sync.Mutex
	calls    []*outbox // to be seen to
	hands    int       // goroutines
	sending  int       // of these: are answering a call
	stuck    int       // of these: were found to be held up, and still are
	finds    int       // how often some were found
	taken    uint64    // calls
	seen     uint64    // of those when it was looked last
	watching bool      // somebody looks whether all are held up
}

// fewest is how many goroutines there may be beside those that are held up.
func fewest() int { return 2 * runtime.GOMAXPROCS(0) }

// add has an outbox seen to.
func (c *crew) add(o *outbox) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, o)
	if c.hands-c.stuck < fewest() {
		c.hire()
		return
	}
	if !c.watching {
		c.watching, c.seen = true, c.taken
		c.group.scheduler.Add(timing.Tick, c)
	}
}

// hire starts a goroutine. The lock is held.
func (c *crew) hire() {
	c.hands++
	go c.work()
}

// Run doubles the crew if all of it is held up.
func (c *crew) Run() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == 0 {
		c.watching = false
		return 0
	}
	if c.taken == c.seen {
		c.stuck = c.sending
		c.finds++
		for range min(c.hands, len(c.calls)) {
			c.hire()
		}
	}
	c.seen = c.taken
	return timing.Tick
}

// work answers calls until there are none.
func (c *crew) work() {
	for c.answerNext() {
	}
}

// answerNext answers a call, and reports whether there was one.
func (c *crew) answerNext() bool {
	o, finds := c.take()
	if o == nil {
		return false
	}
	returned := false
	defer func() {
		v := recover()
		c.answered(finds)
		if !returned {
			o.slot.panicked(v)
		}
		if !returned && v == nil { // OnUnsent has ended the goroutine
			c.mu.Lock()
			defer c.mu.Unlock()
			c.hands--
			if len(c.calls) > 0 {
				c.hire()
			}
		}
	}()
	o.see()
	returned = true
	return true
}

// take returns a call to answer, for answered to be called then; nil: there is none, and one
// goroutine less.
func (c *crew) take() (o *outbox, finds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == 0 {
		c.hands--
		return nil, 0
	}
	o = c.calls[0]
	c.calls[0] = nil
	c.calls = c.calls[1:]
	c.taken++
	c.sending++
	return o, c.finds
}

// answered says that a call has been answered, and held up nobody any longer if it did.
func (c *crew) answered(finds int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sending--
	if finds != c.finds {
		c.stuck--
	}
}

// see sends what waits, once, and calls again if there is more.
func (o *outbox) see() {
	s := o.slot
	s.group.begin()
	defer s.group.done()
	defer o.seen()
	conn, b, closes := o.begin()
	if b != nil {
		unsent, err := b.send(conn)
		b.done()
		s.unsent(unsent, err)
	}
	if closes {
		conn.CloseWith(websock.CloseGoingAway, "")
	}
}

// seen calls again if there is more to send, and goes on with what had to wait.
func (o *outbox) seen() {
	s := o.slot
	s.mu.Lock()
	l := s.link
	lost := s.outbox == o && l != nil && l.lost != nil // nothing is sent any more
	o.sending, o.begun = lost, false
	if !lost && s.outbox == o && (len(o.messages) > 0 || o.last) {
		o.callCrew()
	}
	s.mu.Unlock()
	if lost {
		s.fallFrom(l, l.lost)
	}
}

// begin takes what is to be done, if the link that it is for is still there.
func (o *outbox) begin() (conn *websock.Conn, b *batch, closes bool) {
	s := o.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outbox != o || s.link == nil {
		return nil, nil, false
	}
	closes, o.last = o.last, false
	o.begun = true
	return s.link.conn, o.take(), closes
}
