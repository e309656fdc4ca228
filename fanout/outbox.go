package fanout

import (
	"github.com/seed004e8d11/websock"
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
