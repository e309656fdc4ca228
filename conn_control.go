package websock

import (
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// control handles payload of the open control frame. The view may end within.
func (c *Conn) handleControl() error {
	r := &c.receive
	kind, payload, n, err := r.dec.Control(r.view)
	switch {
	case err != nil:
		err = c.failProtocol(err)
	case kind == engine.EventPing:
		r.counts.pings++
		c.queuePong(payload)
		c.callOnPing(payload)
	case kind == engine.EventPong:
		r.counts.pongs++
		if h, ok := r.handler.(PongHandler); ok {
			h.OnPong(c, payload)
		}
	case kind == engine.EventClose:
		err = c.peerClosed(payload)
	}
	c.consume(n)
	return err
}

// callOnPing tells the user of a ping.
func (c *Conn) callOnPing(payload []byte) {
	if f := c.batch.config.onPing; f != nil {
		f(c, payload)
	}
	if h, ok := c.receive.handler.(PingHandler); ok {
		h.OnPing(c, payload)
	}
}

// answer sends the pongs that wait. That they can't be sent is no error of
// receiving.
func (c *Conn) sendPongs() {
	if c.receive.pongPending {
		c.flushPongs()
	}
}

// pong answers a ping (RFC 6455 section 5.5.3). The answer leaves when the
// receiver turns to the transport or to its caller. Behind another sender's write,
// above Limits.PongRate, and while the peer doesn't take what was sent, only the latest
// ping is remembered. It is answered with what is sent or received next, or when a
// transport with a Handler says that what it queued has left.
func (c *Conn) queuePong(payload []byte) {
	w := &c.batch
	w.mu.Lock()
	defer w.mu.Unlock()
	if !c.closing.MaySend() {
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
	c.encodePongLocked(payload)
}

func (c *Conn) encodePongLocked(payload []byte) {
	rare := c.batch.ensureRare()
	if now := unixSecond(); now != rare.pongSecond {
		rare.pongSecond, rare.pongs = now, 0
	}
	rare.pongs++
	c.encodeLocked(OpPong, true, payload)
}

// appendPongLocked puts the answer to a remembered ping into the batch, if it may be given now.
func (c *Conn) appendPongLocked() bool {
	w := &c.batch
	ping := w.rareOrZero().ping
	if ping == nil || !c.closing.MaySend() || !w.pongAllowed() || w.exceedsQueue(len(ping.B)) {
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

// dropPing forgets the ping that is to be answered.
func (w *batchWriter) dropPing() {
	if ping := w.rareOrZero().ping; ping != nil {
		ping.Put()
		w.rare.ping = nil
	}
}

func unixSecond() uint32 { return uint32(time.Now().Unix()) }

// flushPongs sends the pongs that were encoded, and the remembered one if it is due.
func (c *Conn) flushPongs() {
	c.batch.mu.Lock()
	c.batch.flushPending(c)
	c.receive.pongPending = c.batch.rareOrZero().ping != nil // or there is more to do
	c.batch.mu.Unlock()
}
