package fanout

import (
	"runtime"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/timing"
)

// messageCost is what a message counts beside its payload: the memory that it takes.
const messageCost = 40

// A message waits to be sent. Nobody changes its payload, which broadcasts share.
type message struct {
	payload []byte
	shared  *sharedMessage // that has the payload; nil: it is for this slot alone
	op      websock.Opcode
}

func (m *message) cost() int { return len(m.payload) + messageCost }

// An outbox has what waits to be sent on a slot: until it is up, or where the transport can't
// queue, until the peer has taken what was sent before. It is under the slot's lock.
type outbox struct {
	slot     *Slot
	messages []message
	spare    []message // memory for the next ones
	cost     int       // of the messages, and of those being sent
	sending  bool      // the crew has it
	begun    bool      // and has begun to send
	last     bool      // nothing follows: the connection is to be closed
}

// A batch has messages that are being sent. It belongs to who sends them.
type batch struct {
	from     *outbox
	messages []message
	cost     int
}

// keepLocked puts a message into the outbox, for which its cost was taken from the budget. The lock is
// held.
func (s *Slot) keepLocked(m message) {
	if s.outbox == nil {
		s.outbox = &outbox{slot: s}
	}
	o := s.outbox
	o.messages = append(o.messages, m)
	o.cost += m.cost()
	o.callCrew()
}

// callCrew has the crew see to what waits. The lock is held.
func (o *outbox) callCrew() {
	if o.slot.link != nil && !o.sending {
		o.sending = true
		o.slot.group.crew.add(o)
	}
}

// room returns an error if a message with so much payload can't be kept. The lock is held.
func (s *Slot) room(size int) error {
	waiting, cost := 0, size+messageCost
	if s.outbox != nil {
		waiting = s.outbox.cost
	}
	limit, most := "SendBuffer", s.group.options.SendBuffer
	if s.link != nil {
		limit, most = "SendQueue", s.link.limit
		if waiting == 0 {
			return nil
		}
	}
	if cost > most-waiting {
		return &websock.LimitError{Limit: limit, Max: int64(most), Code: websock.ClosePolicyViolation}
	}
	return nil
}

// take returns what waits, for who sends it; nil: nothing. The lock is held.
func (o *outbox) take() *batch {
	if o == nil || len(o.messages) == 0 {
		return nil
	}
	b := &batch{from: o, messages: o.messages}
	for i := range b.messages {
		b.cost += b.messages[i].cost()
	}
	o.messages, o.spare = o.spare, nil
	return b
}

// send sends the batch, in one write if it is small enough, and returns how many messages
// were not sent, and why. It may wait for the peer.
func (b *batch) send(c *websock.Conn) (unsent int, err error) {
	c.Cork()
	for i := range b.messages {
		m := &b.messages[i]
		if failed := m.send(c); failed != nil {
			unsent += m.count()
			err = failed
		}
	}
	if failed := c.Flush(); failed != nil { // any of them may have been lost
		return countOf(b.messages), failed
	}
	return unsent, err
}

// send sends the message.
func (m *message) send(c *websock.Conn) error {
	if m.shared != nil && compressesAlone(c) {
		return m.shared.send(c, m.op)
	}
	return c.SendFrame(m.op, true, m.payload)
}

// done gives back what a batch has taken.
func (b *batch) done() {
	s := b.from.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	b.from.cost -= b.cost
	s.group.budget.give(b.cost)
	clear(b.messages)
	b.from.spare = b.messages[:0]
}

// count is 1 for a message of the application.
func (m *message) count() int {
	if m.op.IsData() {
		return 1
	}
	return 0
}

func countOf(messages []message) (n int) {
	for i := range messages {
		n += messages[i].count()
	}
	return n
}

// trimOutbox drops what doesn't outlive a connection, and returns how many messages that
// are. The lock is held.
func (s *Slot) trimOutbox() (dropped int) {
	old, most := s.outbox, s.group.options.SendBuffer
	if old == nil {
		return 0
	}
	s.outbox = nil
	if s.state == Stopped {
		most = 0
	}
	kept := &outbox{slot: s}
	for i := range old.messages {
		m := &old.messages[i]
		if m.op.IsData() && m.cost() <= most-kept.cost {
			kept.messages = append(kept.messages, *m)
			kept.cost += m.cost()
		} else {
			dropped += m.count()
			s.group.budget.give(m.cost())
		}
	}
	if kept.cost > 0 {
		s.outbox = kept
	}
	return dropped
}

// unsent counts and reports messages that won't be sent.
func (s *Slot) unsent(messages int, err error) {
	if messages == 0 {
		return
	}
	g := s.group
	g.counts.dropped(messages)
	if g.options.OnUnsent != nil && !g.over.Load() {
		g.options.OnUnsent(s, messages, err)
	}
}

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
