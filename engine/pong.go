package engine

import (
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// pong answers a ping (RFC 6455 section 5.5.3). The answer leaves when the
// receiver turns to the transport or to its caller. Behind another sender's write,
// above Limits.PongRate, and while the peer doesn't take what was sent, only the latest
// ping is remembered. It is answered with what is sent or received next, or when a
// transport with a Handler says that what it queued has left.
func (c *Conn) pong(payload []byte) {
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.closing != nil {
		return
	}
	s.dropPing()
	c.receive.answered = true
	if s.writing || !s.pongAllowed(c.limits()) || c.wouldWait(len(payload)) {
		ping := buffer.Get(maxControlPayload)
		ping.B = append(ping.B, payload...)
		s.need().ping = ping
		return
	}
	c.encodePong(payload)
}

func (c *Conn) encodePong(payload []byte) {
	need := c.send.need()
	if now := unixSecond(); now != need.second {
		need.second, need.pongs = now, 0
	}
	need.pongs++
	c.encode(OpPong, true, payload)
}

// answerPing puts the answer to a remembered ping into the batch, if it may be given now.
func (c *Conn) answerPing() bool {
	s := &c.send
	ping := s.peek().ping
	if ping == nil || s.closing != nil || !s.pongAllowed(c.limits()) || c.wouldWait(len(ping.B)) {
		return false
	}
	c.encodePong(ping.B)
	s.dropPing()
	return true
}

func (s *sendState) pongAllowed(limits *Limits) bool {
	now := s.peek()
	return int64(now.pongs) < int64(limits.PongRate) || now.second != unixSecond()
}

func (s *sendState) dropPing() {
	if ping := s.peek().ping; ping != nil {
		ping.Put()
		s.seldom.ping = nil
	}
}

func unixSecond() uint32 { return uint32(time.Now().Unix()) }

// flushAnswers sends the pongs that were encoded, and the remembered one if it is due.
func (c *Conn) flushAnswers() {
	c.send.mu.Lock()
	c.release()
	c.receive.answered = c.send.peek().ping != nil // or there is more to do
	c.send.mu.Unlock()
}
