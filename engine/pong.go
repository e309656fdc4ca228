package engine

import (
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// pong answers a ping (RFC 6455 section 5.5.3). The answer leaves when the
// receiver turns to the transport or to its caller. Behind another sender's write,
// above Limits.PongRate, and while the peer doesn't take what was sent, only the latest
// ping is remembered.
func (c *Conn) pong(payload []byte) {
	s := &c.send
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.closing != nil {
		return
	}
	log := s.noted()
	s.dropPing()
	if s.writing || !s.pongAllowed(c.limits()) || c.crowded(len(payload)) {
		log.ping = buffer.Get(maxControlPayload)
		log.ping.B = append(log.ping.B, payload...)
		return
	}
	c.encodePong(payload)
	c.receive.answered = true
}

func (c *Conn) encodePong(payload []byte) {
	log := c.send.noted()
	if now := unixSecond(); now != log.second {
		log.second, log.pongs = now, 0
	}
	log.pongs++
	c.encode(OpPong, true, payload)
}

// pingDue reports whether a ping was remembered that may be answered now.
func (c *Conn) pingDue() bool {
	s := &c.send
	return s.log != nil && s.log.ping != nil && s.closing == nil &&
		s.pongAllowed(c.limits()) && !c.crowded(len(s.log.ping.B))
}

func (s *sendState) pongAllowed(limits *Limits) bool {
	return int64(s.log.pongs) < int64(limits.PongRate) || s.log.second != unixSecond()
}

func (s *sendState) dropPing() {
	if s.log != nil && s.log.ping != nil {
		s.log.ping.Put()
		s.log.ping = nil
	}
}

func unixSecond() uint32 { return uint32(time.Now().Unix()) }

// flushAnswers sends the pongs that were encoded.
func (c *Conn) flushAnswers() {
	c.send.mu.Lock()
	c.release()
	c.send.mu.Unlock()
}
