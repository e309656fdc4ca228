package fanout

import (
	"bytes"
	"sync"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/utf8"
)

// Send sends p as one message, websock.OpText or websock.OpBinary. It never waits for the peer;
// p is not changed, and not kept.
//
// nil says that the message was given to the connection, or is kept for it: see
// Options.SendBuffer. That doesn't say that it arrives. Errors, with which nothing was sent:
// ErrDown while the slot isn't up and keeps nothing, or has stopped; ErrClosed after
// Shutdown; an *websock.LimitError when too much waits already, for the peer (SendQueue) or
// for a connection (SendBuffer); one that is websock.ErrSendQueueFull when too much waits for
// all peers together (Options.QueueBudget) or for this one; websock.ErrInvalidUTF8 and websock.ErrFrameOrder for what can't
// be sent. After an *websock.CloseError a part of it may be out, or all of it: the connection
// is lost.
func (s *Slot) Send(op websock.Opcode, p []byte) error {
	_, err := s.give(op, p, nil)
	return err
}

// SendText is Send of a text message, which has to be UTF-8.
func (s *Slot) SendText(p []byte) error { return s.Send(websock.OpText, p) }

// SendBinary is Send of a binary message.
func (s *Slot) SendBinary(p []byte) error { return s.Send(websock.OpBinary, p) }

// A sharedMessage is a message that is sent on many slots.
type sharedMessage struct {
	payload []byte // a copy of the Group's own

	once     sync.Once
	prepared *websock.PreparedMessage // nil: it can't be sent
}

// share returns the message in *shared, which is made once it is needed.
func share(shared **sharedMessage, p []byte) *sharedMessage {
	if *shared == nil {
		*shared = &sharedMessage{payload: append(make([]byte, 0, len(p)+1), p...)} // not nil, even if empty
	}
	return *shared
}

// send sends the message so that it is compressed once for all connections.
func (m *sharedMessage) send(c *websock.Conn, op websock.Opcode) error {
	m.once.Do(func() { m.prepared, _ = websock.NewPreparedMessage(op, m.payload) })
	if m.prepared == nil {
		return websock.ErrInvalidUTF8
	}
	return c.SendPrepared(m.prepared)
}

// compressesAlone reports whether each message is compressed without regard to those before it,
// and so for all connections alike.
func compressesAlone(c *websock.Conn) bool {
	z := c.Compression()
	return z.Level != 0 && !z.SendTakeover
}

// give sends p or keeps a copy of it. A message for many slots has its copy in *shared; nil: it is
// for this one.
func (s *Slot) give(op websock.Opcode, p []byte, shared **sharedMessage) (kept bool, err error) {
	switch {
	case s.group.closing.Load():
		return false, ErrClosed
	case op != websock.OpText && op != websock.OpBinary:
		return false, websock.ErrFrameOrder
	}
	s.mu.Lock()
	l := s.link
	if l != nil && l.queues {
		s.mu.Unlock()
		return false, s.sendOn(l, op, p, shared)
	}
	defer s.mu.Unlock()
	if err := s.keeps(op, p); err != nil {
		return false, err
	}
	if err := s.group.budget.take(len(p) + messageCost); err != nil {
		return false, err
	}
	m := message{op: op}
	if shared == nil {
		m.payload = bytes.Clone(p)
	} else {
		m.shared = share(shared, p)
		m.payload = m.shared.payload
	}
	s.keepLocked(m)
	return l == nil, nil
}

// maxFrameHeader is the size of a client's longest frame header (RFC 6455 section 5.2).
const maxFrameHeader = 14

// sendOn sends p on a connection that queues what the peer doesn't take.
func (s *Slot) sendOn(l *link, op websock.Opcode, p []byte, shared **sharedMessage) error {
	size := len(p) + maxFrameHeader
	b := &s.group.budget
	if err := b.take(size); err != nil {
		return err
	}
	defer b.sent(l, size)
	if shared != nil && compressesAlone(l.conn) {
		return share(shared, p).send(l.conn, op)
	}
	return l.conn.SendFrame(op, true, p)
}

// keeps returns an error if a message can't be kept. The lock is held.
func (s *Slot) keeps(op websock.Opcode, p []byte) error {
	switch {
	case s.link == nil && (s.group.options.SendBuffer == 0 || s.state == Stopped):
		return ErrDown
	case op == websock.OpText && !utf8.Valid(p):
		return websock.ErrInvalidUTF8
	}
	return s.room(len(p))
}

// Send sends to the slot of that key: see Slot.Send. ErrUnknownKey says that there is none.
func (g *Group) Send(key string, op websock.Opcode, p []byte) error {
	s := g.Find(key)
	if s == nil {
		return ErrUnknownKey
	}
	return s.Send(op, p)
}

// A Delivery says what became of a broadcast: how many slots it was given to or passed over.
type Delivery struct {
	Sent    int // given to the connection
	Kept    int // for the next connection: see Options.SendBuffer
	Down    int // not up, and keep nothing
	Refused int // too much waits already, or the message can't be sent
}

// Broadcast sends p as one message, websock.OpText or websock.OpBinary, to all slots, each as
// Slot.Send does. Every copy is masked with a key of its own. Where a connection compresses each
// message for itself (websock.Compression.SendTakeover is false), it is compressed once for all. It never waits for a peer. Which
// slots it passed over, and why, OnUnsent is told.
func (g *Group) Broadcast(op websock.Opcode, p []byte) Delivery {
	var d Delivery
	var shared *sharedMessage
	for i := range g.slots {
		s := &g.slots[i]
		kept, err := s.give(op, p, &shared)
		switch {
		case err == nil && kept:
			d.Kept++
		case err == nil:
			d.Sent++
		default:
			if err == ErrDown || err == ErrClosed {
				d.Down++
			} else {
				d.Refused++
			}
			s.passedOver(err)
		}
	}
	g.counts.broadcast(&d)
	return d
}

// passedOver tells the application that a broadcast passed the slot over.
func (s *Slot) passedOver(err error) {
	defer s.recovered()
	if g := s.group; g.options.OnUnsent != nil && !g.over.Load() {
		g.options.OnUnsent(s, 1, err)
	}
}
