package fanout

import (
	"bytes"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/utf8"
)

// Send sends p as one message, engine.OpText or engine.OpBinary. It never waits for the peer;
// p is not changed, and not kept.
//
// nil says that the message was given to the connection, or is kept for it: see
// Options.SendBuffer. That doesn't say that it arrives. Errors, with which nothing was sent:
// ErrDown while the slot isn't up and keeps nothing, or has stopped; ErrClosed after
// Shutdown; an *engine.LimitError when too much waits already, for the peer (SendQueue) or
// for a connection (SendBuffer); engine.ErrInvalidUTF8 and engine.ErrFrameOrder for what can't
// be sent. After an *engine.CloseError a part of it may be out, or all of it: the connection
// is lost.
func (s *Slot) Send(op engine.Opcode, p []byte) error {
	_, err := s.give(op, p, nil)
	return err
}

// SendText is Send of a text message, which has to be UTF-8.
func (s *Slot) SendText(p []byte) error { return s.Send(engine.OpText, p) }

// SendBinary is Send of a binary message.
func (s *Slot) SendBinary(p []byte) error { return s.Send(engine.OpBinary, p) }

// give sends p or keeps a copy of it: the one that shared has, or makes.
func (s *Slot) give(op engine.Opcode, p []byte, shared *[]byte) (kept bool, err error) {
	switch {
	case s.group.closing.Load():
		return false, ErrClosed
	case op != engine.OpText && op != engine.OpBinary:
		return false, engine.ErrFrameOrder
	}
	s.mu.Lock()
	l := s.link
	if l != nil && l.queues {
		s.mu.Unlock()
		return false, l.conn.SendFrame(op, true, p)
	}
	defer s.mu.Unlock()
	if err := s.keeps(op, p); err != nil {
		return false, err
	}
	s.keep(op, copyOf(p, shared))
	return l == nil, nil
}

// keeps returns an error if a message can't be kept. The lock is held.
func (s *Slot) keeps(op engine.Opcode, p []byte) error {
	switch {
	case s.link == nil && (s.group.options.SendBuffer == 0 || s.state == Stopped):
		return ErrDown
	case op == engine.OpText && !utf8.Valid(p):
		return engine.ErrInvalidUTF8
	}
	return s.room(len(p))
}

func copyOf(p []byte, shared *[]byte) []byte {
	if shared == nil {
		return bytes.Clone(p)
	}
	if *shared == nil {
		*shared = append(make([]byte, 0, len(p)+1), p...) // not nil, even if empty
	}
	return *shared
}

// Send sends to the slot of that key: see Slot.Send. ErrUnknownKey says that there is none.
func (g *Group) Send(key string, op engine.Opcode, p []byte) error {
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

// Broadcast sends p as one message, engine.OpText or engine.OpBinary, to all slots, each as
// Slot.Send does. Every copy is masked with a key of its own. It never waits for a peer. Which
// slots it passed over, and why, OnUnsent is told.
func (g *Group) Broadcast(op engine.Opcode, p []byte) Delivery {
	var d Delivery
	var shared []byte
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
			if g.options.OnUnsent != nil {
				g.options.OnUnsent(s, 1, err)
			}
		}
	}
	g.counts.broadcast(&d)
	return d
}
