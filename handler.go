package websock

import "github.com/seed004e8d11/websock/internal/buffer"

// A Handler receives the data of a connection by callback, in place of Recv. Its methods are called
// one at a time, in order, on a goroutine of the transport. During a call nothing else is received
// on that connection, and on an event loop nothing on its other connections either.
//
// A Handler given to Dial may be called before Dial returns, with the Conn that Dial returns. If
// Dial fails, it isn't called. After OnClose the connection holds no resources, and Close need not
// be called. Before, Close or Abort ends the connection.
//
// A panic ends the process, as usual in Go, unless Options.Recover is set. A call of
// runtime.Goexit, as in testing.T.Fatal, ends the connection with a *HandlerError; the transport
// replaces its goroutine.
//
// If very much arrives at once on a connection, more than a hundred frames or a message that
// inflates to more than 64 KiB, it is handled in parts, and other connections are served in
// between.
//
// What the goroutine of the Handler sends on c is batched, and written when the bytes received so
// far are handled, or such a part of them. An event loop may first call the Handlers of other
// connections that are ready. Flush writes it earlier. Sends from other goroutines
// don't wait for the Handler, and also write what it has sent.
type Handler interface {
	// OnData is called with payload as it arrives; text is valid UTF-8 so far. h is the header of
	// the frame of that payload. h.Remaining is the number of bytes of the frame that are still to
	// come; h.Fin && h.Remaining == 0 ends the message. payload is valid until OnData returns. It
	// may be changed in place; appending to it copies it. It is empty only for a frame without
	// payload.
	OnData(c *Conn, h Header, payload []byte)

	// OnClose is called exactly once, after the last OnData. err is never nil: a *CloseError has
	// code and reason, a *ProtocolError or *LimitError says what the peer did wrong, ErrTimeout
	// means that the receive deadline has passed.
	OnClose(c *Conn, err error)
}

// A PongHandler is a Handler that is also called for pongs (RFC 6455 section 5.5.3), for instance
// to measure round-trip times.
type PongHandler interface {
	Handler

	// OnPong is called with the payload of every received pong: at most 125 bytes, valid until
	// OnPong returns. It is called in order with OnData, on the same goroutine. A peer may send
	// pongs that answer no ping, and may answer only the latest of several pings.
	OnPong(c *Conn, payload []byte)
}

// A PingHandler is a Handler that is also called for pings (RFC 6455 section 5.5.2), which some
// servers use as heartbeats or with a payload of their own. Pings are answered in any case.
type PingHandler interface {
	Handler

	// OnPing is called with the payload of every received ping: at most 125 bytes, valid until
	// OnPing returns. It is called in order with OnData, on the same goroutine.
	OnPing(c *Conn, payload []byte)
}

// Messages returns a Handler that calls f with whole messages. msg is valid until f returns and may
// be changed in place. It is a slice of the received bytes if the message arrived in one piece, and
// otherwise of a buffer of at most Limits.MessageSize. closed, unless it is nil, is called for
// OnClose. One such Handler can serve many connections.
func Messages(f func(c *Conn, op Opcode, msg []byte), closed func(c *Conn, err error)) Handler {
	return &messages{deliver: f, closed: closed}
}

// A messages is the Handler that Messages returns.
type messages struct {
	deliver func(c *Conn, op Opcode, msg []byte)
	closed  func(c *Conn, err error)
}

func (m *messages) OnData(c *Conn, h Header, payload []byte) {
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

// appendMessage appends payload to msgBuf and makes room for the remaining bytes of the frame, but
// for at most 1 MiB that has not arrived.
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

func (m *messages) OnClose(c *Conn, err error) {
	if c.receive.msgBuf != nil {
		c.receive.msgBuf.Put()
		c.receive.msgBuf = nil
	}
	if m.closed != nil {
		m.closed(c, err)
	}
}
