package fanout

import (
	"bytes"

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
//   - ErrDown: the slot isn't up and keeps no messages, or has stopped, or its connection is being
//     closed for Stop or Reconnect;
//   - ErrRemoved: the slot was removed;
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

// send gives p to the connection, or puts a copy into the outbox; kept says that the slot is down
// and keeps it. b is nil unless p is the message of a broadcast.
func (s *Slot) send(op websock.Opcode, p []byte, b *broadcast) (kept bool, err error) {
	switch {
	case s.group.closing():
		return false, ErrClosed
	case op != websock.OpText && op != websock.OpBinary:
		return false, websock.ErrFrameOrder
	}
	s.mu.Lock()
	l := s.link
	if l != nil && l.queues && s.intent == goOn {
		s.mu.Unlock()
		return false, s.sendOn(l, op, p, b)
	}
	defer s.mu.Unlock()
	if err := s.checkKeepLocked(op, p); err != nil {
		return false, err
	}
	if err := s.group.budget.reserve(len(p) + messageCost); err != nil {
		return false, err
	}
	m := message{op: op}
	if b == nil {
		m.payload = bytes.Clone(p)
	} else {
		m.shared = b.share()
		m.payload = m.shared.payload
	}
	s.keepLocked(m)
	return l == nil, nil
}

// maxFrameHeader is the size of a client's longest frame header (RFC 6455 section 5.2).
const maxFrameHeader = 14

// sendOn sends p on a connection that queues what the peer doesn't take.
func (s *Slot) sendOn(l *link, op websock.Opcode, p []byte, b *broadcast) error {
	size := len(p) + maxFrameHeader
	budget := &s.group.budget
	if err := budget.reserve(size); err != nil {
		return err
	}
	defer budget.charge(l, size)
	if b != nil && compressesAlone(l.conn) {
		return b.share().send(l.conn, op)
	}
	return l.conn.SendFrame(op, true, p)
}

// checkKeepLocked returns an error if a message can't be put into the outbox.
func (s *Slot) checkKeepLocked(op websock.Opcode, p []byte) error {
	switch {
	case s.intent == leave:
		return ErrRemoved
	case s.link != nil && s.intent != goOn:
		return ErrDown
	case s.link == nil && (s.group.options.SendBuffer == 0 || s.intent >= giveUp):
		return ErrDown
	case op == websock.OpText && !utf8.Valid(p):
		return websock.ErrInvalidUTF8
	}
	return s.checkRoomLocked(len(p))
}
