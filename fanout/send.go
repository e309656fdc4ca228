package fanout

import (
	"bytes"
	"sync"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/utf8"
)

// Send sends p as one message, websock.OpText or websock.OpBinary. It never waits for the peer, and
// neither changes nor keeps p. Messages of one goroutine to one slot arrive in the order in which
// they were sent.
//
// A nil error says that the message was given to the connection, or is kept for the next one
// (Options.SendBuffer), not that it arrives. With any other error but a *websock.CloseError nothing
// was sent:
//   - ErrDown: the slot isn't up and keeps no messages, or has stopped;
//   - ErrClosed: Shutdown was called;
//   - a *websock.LimitError: too many bytes wait already, in the connection (its Limit is
//     "SendQueue") or for the next connection ("SendBuffer");
//   - an error that is websock.ErrSendQueueFull: too many bytes wait for this peer, or for all of
//     them together (Options.QueueBudget);
//   - websock.ErrInvalidUTF8, websock.ErrFrameOrder: p isn't UTF-8, op is another, or a fragmented
//     message is under way.
//
// A *websock.CloseError says that the connection is lost; the message may have been sent in part or
// in full.
func (s *Slot) Send(op websock.Opcode, p []byte) error {
	_, err := s.send(op, p, nil)
	return err
}

// SendText sends p as a text message, which has to be UTF-8: see Send.
func (s *Slot) SendText(p []byte) error { return s.Send(websock.OpText, p) }

// SendBinary sends p as a binary message: see Send.
func (s *Slot) SendBinary(p []byte) error { return s.Send(websock.OpBinary, p) }

// Send sends p to the slot that has the key: see Slot.Send. The error is ErrUnknownKey if there is
// none.
func (g *Group) Send(key string, op websock.Opcode, p []byte) error {
	s := g.Find(key)
	if s == nil {
		return ErrUnknownKey
	}
	return s.Send(op, p)
}

// A Delivery counts the slots of a Group by what a broadcast has done to them.
type Delivery struct {
	Sent    int // the message was given to the connection
	Kept    int // it is kept for the next connection: see Options.SendBuffer
	Down    int // the slot isn't up and keeps no messages
	Refused int // too many bytes wait already, or the message can't be sent
}

// Broadcast sends p as one message, websock.OpText or websock.OpBinary, to all slots, each as
// Slot.Send does. It never waits for a peer, and neither changes nor keeps p. Options.OnUnsent is
// called for each slot that is passed over, before Broadcast returns.
//
// Each copy is masked with a key of its own. On connections that compress each message by itself
// (websock.Compression.SendTakeover is false), the message is compressed once for all of them.
func (g *Group) Broadcast(op websock.Opcode, p []byte) Delivery {
	var d Delivery
	var shared *sharedMessage
	for i := range g.slots {
		s := &g.slots[i]
		kept, err := s.send(op, p, &shared)
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
			s.reportPassedOver(err)
		}
	}
	g.counts.broadcast(&d)
	return d
}

// reportPassedOver calls OnUnsent for a broadcast that was not sent to the slot.
func (s *Slot) reportPassedOver(err error) {
	defer s.recoverPanic()
	if g := s.group; g.options.OnUnsent != nil && !g.over() {
		g.options.OnUnsent(s, 1, err)
	}
}

// A sharedMessage is a message that is sent on many slots.
type sharedMessage struct {
	payload []byte // a copy of the Group's own

	once     sync.Once
	prepared *websock.PreparedMessage // nil: it can't be sent
}

// share returns the message in *shared, which is made when the first slot needs it.
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

// compressesAlone reports whether each message is compressed without regard to earlier ones, and so
// in the same way on all connections.
func compressesAlone(c *websock.Conn) bool {
	z := c.Compression()
	return z.Level != 0 && !z.SendTakeover
}

// send gives p to the connection, or puts a copy into the outbox; kept says that the slot is down
// and keeps it. A message for many slots has its copy in *shared; otherwise shared is nil.
func (s *Slot) send(op websock.Opcode, p []byte, shared **sharedMessage) (kept bool, err error) {
	switch {
	case s.group.closing():
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
	if err := s.checkKeepLocked(op, p); err != nil {
		return false, err
	}
	if err := s.group.budget.reserve(len(p) + messageCost); err != nil {
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
	if err := b.reserve(size); err != nil {
		return err
	}
	defer b.charge(l, size)
	if shared != nil && compressesAlone(l.conn) {
		return share(shared, p).send(l.conn, op)
	}
	return l.conn.SendFrame(op, true, p)
}

// checkKeepLocked returns an error if a message can't be put into the outbox.
func (s *Slot) checkKeepLocked(op websock.Opcode, p []byte) error {
	switch {
	case s.link == nil && (s.group.options.SendBuffer == 0 || s.phase.state() == Stopped):
		return ErrDown
	case op == websock.OpText && !utf8.Valid(p):
		return websock.ErrInvalidUTF8
	}
	return s.checkRoomLocked(len(p))
}
