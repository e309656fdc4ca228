package websock

import "github.com/seed004e8d11/websock/internal/buffer"

// A Handler is called with what a connection receives, instead of Recv. The
// calls for one connection come one after another, in order, from a goroutine of
// the transport: while one runs, nothing else is received on that connection,
// and on an event loop nothing on its neighbours either.
//
// A Handler given to websock.Dial may be called before Dial has returned, with the Conn that it
// returns. If Dial fails, it is not called at all. After OnClose nothing is left of the
// connection, so that Close need not be called; until then Close or Abort ends it.
//
// A panic ends the process, as everywhere in Go, unless there is an Options.Recover. A call of
// runtime.Goexit, which testing.T.Fatal makes, ends the connection with a *HandlerError, and
// its goroutine is replaced.
//
// A connection on which very much has come at once, more than a hundred frames or a message that
// inflates to more than 64 KiB, is handled in turns, between which its neighbours are served.
//
// What the Handler's own goroutine sends on c leaves together in one write when the bytes that
// have been received so far are handled, or the turn ends; Flush writes it before. Sends of other
// goroutines don't wait for the Handler, and take along what it has sent.
type Handler interface {
	// OnData is called with payload as it arrives, text already validated up to
	// here. h is the header of the frame that payload belongs to; h.Remaining
	// counts what is still to come of it; h.Fin && h.Remaining == 0 ends the
	// message. payload is a view, valid until OnData returns; it may be changed
	// in place, and appending to it copies it. It is empty only for a frame without payload.
	OnData(c *Conn, h Header, payload []byte)

	// OnClose is called exactly once, after the last OnData. err is never nil:
	// a *CloseError says code and reason, a *ProtocolError or *LimitError what
	// the peer did wrong, ErrTimeout that the receive deadline passed.
	OnClose(c *Conn, err error)
}

// A PongHandler is a Handler that is told of pongs too (RFC 6455 section 5.5.3), to measure
// how long a ping takes there and back.
type PongHandler interface {
	Handler

	// OnPong is called with the payload of every pong received, at most 125 bytes, valid
	// until it returns. It comes in its place between the calls of OnData, from the same
	// goroutine. A peer may send pongs that answer no ping, and answers only the latest of
	// several.
	OnPong(c *Conn, payload []byte)
}

// A PingHandler is a Handler that is told of pings too (RFC 6455 section 5.5.2): some servers
// say with them that they are alive, or put something into them. They are answered without it.
type PingHandler interface {
	Handler

	// OnPing is called with the payload of every ping received, at most 125 bytes, valid
	// until it returns. It comes in its place between the calls of OnData, from the same
	// goroutine.
	OnPing(c *Conn, payload []byte)
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
	r := &c.receive
	whole := h.Fin && h.Remaining == 0
	if r.midMessage {
		r.midMessage = !whole
		return
	}
	if whole && r.msgBuf == nil {
		m.deliver(c, r.dec.Message(), payload)
		return
	}
	r.appendMessage(payload, h.Remaining)
	if whole {
		msg := r.msgBuf
		r.msgBuf = nil
		m.deliver(c, r.dec.Message(), msg.B[:len(msg.B):len(msg.B)])
		msg.Put()
	}
}

// gather appends payload to the message under way, and makes room for what is declared
// to follow, but not for all of it at once.
func (r *receiveState) appendMessage(payload []byte, remaining int64) {
	const most = 1 << 20
	room := len(payload) + int(min(remaining, most))
	if r.msgBuf == nil {
		r.msgBuf = buffer.Get(room)
	}
	if cap(r.msgBuf.B)-len(r.msgBuf.B) < len(payload) {
		r.msgBuf.Grow(room)
	}
	r.msgBuf.B = append(r.msgBuf.B, payload...)
}

func (m messages) OnClose(c *Conn, err error) {
	if c.receive.msgBuf != nil {
		c.receive.msgBuf.Put()
		c.receive.msgBuf = nil
	}
	if m.closed != nil {
		m.closed(c, err)
	}
}
