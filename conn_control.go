package websock

import (
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// handleControl handles payload of the current control frame, of which the view may have only a
// part.
func (c *Conn) handleControl() error {
	r := &c.receive
	kind, payload, n, err := r.dec.Control(r.view)
	switch {
	case err != nil:
		return c.failProtocol(err)
	case kind == engine.EventPing:
		r.counts.pings++
		c.queuePong(payload)
		c.callOnPing(payload)
	case kind == engine.EventPong:
		r.counts.pongs++
		c.callOnPong(payload)
	case kind == engine.EventClose:
		return c.peerClosed(payload)
	}
	c.consume(n)
	return nil
}

// callOnPing calls the OnPing functions of the user.
func (c *Conn) callOnPing(payload []byte) {
	if f := c.batch.config.onPing; f != nil {
		f(c, payload)
	}
	if h, ok := c.receive.handler.(PingHandler); ok {
		h.OnPing(c, payload)
	}
}

// callOnPong calls the OnPong functions of the user.
func (c *Conn) callOnPong(payload []byte) {
	if f := c.batch.config.onPong; f != nil {
		f(c, payload)
	}
	if h, ok := c.receive.handler.(PongHandler); ok {
		h.OnPong(c, payload)
	}
}

// sendPongs sends the pongs that are pending. An error is left to the next send.
func (c *Conn) sendPongs() {
	if c.receive.pongPending {
		c.flushPongs()
	}
}

// queuePong answers a ping (RFC 6455 section 5.5.3). The pong is written before the receiver waits
// or returns. During another sender's write, above Limits.PongRate, and while the queue is full,
// only the latest ping is kept. It is answered together with what is sent or received next, or,
// with a Handler, when the transport has written what it had queued.
func (c *Conn) queuePong(payload []byte) {
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.closing().MaySend() {
		return
	}
	w.dropPing()
	c.receive.pongPending = true
	if w.state == writerBusy || !w.pongAllowed() || w.exceedsQueue(len(payload)) {
		ping := buffer.Get(engine.MaxControlPayload)
		ping.B = append(ping.B, payload...)
		w.ensureRare().ping = ping
		return
	}
	w.liftSendDeadline()
	c.encodePongLocked(payload)
}

// encodePongLocked counts a pong for Limits.PongRate and appends it to the pending batch.
func (c *Conn) encodePongLocked(payload []byte) {
	rare := c.batch.ensureRare()
	if now := unixSecond(); now != rare.pongSecond {
		rare.pongSecond, rare.pongs = now, 0
	}
	rare.pongs++
	c.encodeLocked(OpPong, true, payload)
}

// appendPongLocked answers the latest ping, if that is allowed now, and reports whether it did.
func (c *Conn) appendPongLocked() bool {
	w := &c.batch
	ping := w.rareOrZero().ping
	if ping == nil || !c.closing().MaySend() || !w.pongAllowed() || w.exceedsQueue(len(ping.B)) {
		return false
	}
	c.encodePongLocked(ping.B)
	w.dropPing()
	return true
}

// pongAllowed reports whether Limits.PongRate allows another pong now.
func (w *batchWriter) pongAllowed() bool {
	now := w.rareOrZero()
	return int64(now.pongs) < int64(w.config.limits.PongRate) || now.pongSecond != unixSecond()
}

// dropPing forgets the latest unanswered ping.
func (w *batchWriter) dropPing() {
	if ping := w.rareOrZero().ping; ping != nil {
		ping.Put()
		w.rare.ping = nil
	}
}

func unixSecond() uint32 { return uint32(time.Now().Unix()) }

// flushPongs writes the pongs that were encoded, and the latest if it is due.
func (c *Conn) flushPongs() {
	c.batch.mu.Lock()
	c.batch.flushPending(c)
	c.receive.pongPending = c.batch.rareOrZero().ping != nil // it is answered later
	c.batch.mu.Unlock()
}
