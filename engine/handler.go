package engine

// A Handler is called with what a connection receives, instead of Recv. The
// calls for one connection come one after another, in order, from a goroutine of
// the transport: while one runs, nothing else is received on that connection,
// and on an event loop nothing on its neighbours either.
//
// Sends on c made inside OnData leave together in one write when the bytes that
// have been received so far are handled.
type Handler interface {
	// OnData is called with payload as it arrives, text already validated up to
	// here. h is the header of the frame that payload belongs to; h.Remaining
	// counts what is still to come of it; h.Fin && h.Remaining == 0 ends the
	// message. payload is a view, valid until OnData returns; it may be changed
	// in place. It is empty only for a frame without payload.
	OnData(c *Conn, h Header, payload []byte)

	// OnClose is called exactly once, after the last OnData. err is never nil:
	// a *CloseError says code and reason, a *ProtocolError or *LimitError what
	// the peer did wrong, ErrTimeout that the receive deadline passed.
	OnClose(c *Conn, err error)
}

// Messages returns a Handler that calls f with whole messages. msg is valid until
// f returns, and may be changed in place: it is a view of the received bytes when
// the message came in one piece, else of memory in which it was gathered, at most
// Limits.MessageSize. closed, unless it is nil, is called as OnClose. One such
// Handler can serve many connections.
func Messages(f func(c *Conn, op Opcode, msg []byte), closed func(c *Conn, err error)) Handler {
	return messages{deliver: f, closed: closed}
}

type messages struct {
	deliver func(c *Conn, op Opcode, msg []byte)
	closed  func(c *Conn, err error)
}

func (m messages) OnData(c *Conn, h Header, payload []byte) {
	whole := h.Fin && h.Remaining == 0
	if whole && c.receive.gathered == nil {
		m.deliver(c, c.receive.dec.message, payload)
		return
	}
	if !whole {
		c.receive.gathered = makeRoom(c.receive.gathered, int64(len(payload))+h.Remaining)
	}
	c.receive.gathered = append(c.receive.gathered, payload...)
	if whole {
		msg := c.receive.gathered
		c.receive.gathered = nil
		m.deliver(c, c.receive.dec.message, msg)
	}
}

func (m messages) OnClose(c *Conn, err error) {
	c.receive.gathered = nil
	if m.closed != nil {
		m.closed(c, err)
	}
}
