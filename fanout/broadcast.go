package fanout

import (
	"sync"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/gather"
)

// A Delivery counts the slots of a Group by what a broadcast has done to them. Slots that are removed
// while the broadcast is under way don't count.
type Delivery struct {
	Sent    int // the message was given to the connection
	Kept    int // it is kept for the next connection: see Options.SendBuffer
	Down    int // the slot isn't up and keeps no messages
	Refused int // too many bytes wait already, or the message can't be sent
}

// Broadcast sends p as one message, websock.OpText or websock.OpBinary, to all slots, each as
// Slot.Send does. It never waits for a peer, and neither changes nor keeps p. Options.OnUnsent is
// called for each slot that was passed over, before Broadcast returns. A slot that is added or removed
// meanwhile may or may not get the message; one that is removed before its turn is not counted.
//
// Each copy is masked with a key of its own. On connections that compress each message by itself
// (websock.Compression.SendTakeover is false), the message is compressed once for all of them. What is
// sent to slots that share an HTTP/2 connection (Config.Mux) is written together, in pieces of about 64 KiB:
// these slots get it one after another, so the order is not always that of their numbers.
func (g *Group) Broadcast(op websock.Opcode, p []byte) Delivery {
	return g.BroadcastTo(op, p, nil)
}

// BroadcastTo is Broadcast to the slots for which to returns true; nil: to all. It calls to for all slots
// before it sends anything, in the goroutine of its caller and with no lock held: to may block, and use
// the Group. If to panics, nothing is sent.
func (g *Group) BroadcastTo(op websock.Opcode, p []byte, to func(*Slot) bool) Delivery {
	r := newRecipients()
	defer r.release()
	for s := range g.Slots() {
		if to == nil || to(s) {
			r.slots = append(r.slots, s)
		}
	}
	d := g.broadcast(r, op, p)
	g.counts.broadcast(&d)
	return d
}

// recipients are the slots to which a broadcast goes.
type recipients struct{ slots []*Slot }

// idleRecipients is memory for recipients: empty ones.
var idleRecipients = sync.Pool{New: func() any { return new(recipients) }}

func newRecipients() *recipients { return idleRecipients.Get().(*recipients) }

// release takes the memory back.
func (r *recipients) release() {
	clear(r.slots)
	r.slots = r.slots[:0]
	idleRecipients.Put(r)
}

// broadcast sends p to slots, and calls OnUnsent for those that are passed over.
func (g *Group) broadcast(to *recipients, op websock.Opcode, p []byte) Delivery {
	b := &broadcast{group: g, op: op, payload: p}
	b.sendAll(to.slots)
	b.report()
	return b.delivery
}

// A broadcast is a message on its way to many slots.
type broadcast struct {
	group      *Group
	op         websock.Opcode
	payload    []byte
	shared     *sharedMessage // nil: no slot has needed it
	delivery   Delivery
	passedOver []refusal // that OnUnsent is to be told of, when nothing is held back any more
}

// A refusal says why a slot was passed over.
type refusal struct {
	slot *Slot
	err  error
}

// sendAll sends the message to slots.
func (b *broadcast) sendAll(slots []*Slot) { gather.Each(slots, (*Slot).session, b.send) }

// send sends the message to a slot.
func (b *broadcast) send(s *Slot) {
	kept, err := s.send(b.op, b.payload, b)
	switch {
	case err == nil && kept:
		b.delivery.Kept++
	case err == nil:
		b.delivery.Sent++
	default:
		b.refused(s, err)
	}
}

// refused counts a slot that is passed over.
func (b *broadcast) refused(s *Slot, err error) {
	switch err {
	case ErrRemoved: // while the broadcast is under way
		return
	case ErrDown, ErrClosed:
		b.delivery.Down++
	default:
		b.delivery.Refused++
	}
	if b.group.options.OnUnsent != nil {
		b.passedOver = append(b.passedOver, refusal{s, err})
	}
}

// report calls OnUnsent for the slots that were passed over. Shutdown waits for that.
func (b *broadcast) report() {
	g := b.group
	if len(b.passedOver) == 0 || !g.addRunningBefore(lifeOver) {
		return
	}
	defer g.doneRunning()
	for _, r := range b.passedOver {
		r.slot.reportPassedOver(r.err)
	}
}

// share returns the message as one that many slots have, which is made when the first of them needs it.
func (b *broadcast) share() *sharedMessage {
	if b.shared == nil {
		b.shared = &sharedMessage{payload: append(make([]byte, 0, len(b.payload)+1), b.payload...)} // not nil, even if empty
	}
	return b.shared
}

// reportPassedOver calls OnUnsent for a broadcast that was not sent to the slot.
func (s *Slot) reportPassedOver(err error) {
	if !s.beginCall() {
		return
	}
	defer s.endCall()
	defer s.recoverPanic()
	if g := s.group; !g.over() {
		g.options.OnUnsent(s, 1, err)
	}
}

// A sharedMessage is a message that is sent on many slots.
type sharedMessage struct {
	payload []byte // a copy of the Group's own

	once     sync.Once
	prepared *websock.PreparedMessage // nil: it can't be sent
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
