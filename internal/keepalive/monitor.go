package keepalive

import (
	"errors"
	"time"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/engine"
)

// A Policy says when a heartbeat is sent and when a peer is given up. Many connections share one.
type Policy struct {
	// Ping is the time without a sign of life after which a heartbeat is sent, or with
	// Regular the time between two. 0: none is.
	Ping time.Duration

	// Timeout is the time without a sign of life after which the peer is given up. With
	// Regular it begins with a heartbeat. 0: never.
	Timeout time.Duration

	// Regular says that heartbeats are sent whether there are signs of life or not.
	Regular bool

	// Opcode and Payload are the heartbeat's.
	Opcode  engine.Opcode
	Payload []byte
}

// Interval returns the time between two looks while there are signs of life.
func (p *Policy) Interval() time.Duration {
	look := p.Ping / 4
	if look == 0 || p.Timeout > 0 && p.Timeout < p.Ping {
		look = p.Timeout / 4
	}
	return look
}

// A Verdict is what is to be done after a look.
type Verdict uint8

// The verdicts.
const (
	Wait   Verdict = iota // nothing
	Beat                  // send a heartbeat
	GiveUp                // abort the connection
)

// A Monitor watches one connection. Its times are those since any one moment, and one goroutine
// at a time uses it.
//
// Signs of life are bytes that are received, and bytes that the peer takes while others wait for
// it: so a peer that takes a large message slowly is alive, though it has not got to the ping
// behind it. What leaves while nothing waits is none: the system takes it whether the peer lives
// or not.
type Monitor struct {
	received uint64        // at the last look
	taken    int64         // at the last sign, or the least since
	sign     time.Duration // when it was seen
	beat     time.Duration // when the last heartbeat was sent
	behind   int64         // how much the peer has taken once it has that heartbeat
	waiting  bool          // something waited for the peer at the last look
	known    bool          // taken and waiting were looked at since something was received
	beating  bool          // no sign has come since the heartbeat
}

// heartbeatSize is how much more of a heartbeat than its payload the peer takes, at most: its
// header, and what TLS adds.
const heartbeatSize = 128

// Begin begins to watch a connection. With Regular, the first heartbeat is due after first.
func (m *Monitor) Begin(c *engine.Conn, p *Policy, now, first time.Duration) {
	*m = Monitor{sign: now, beat: now + first - p.Ping}
	m.look(c, p)
}

// Look looks at the connection.
func (m *Monitor) Look(c *engine.Conn, p *Policy, now time.Duration) Verdict {
	if m.look(c, p) || c.Paused() {
		m.sign, m.beating = now, false
	}
	switch since := m.silentSince(p); {
	case p.Timeout > 0 && since >= 0 && now-since >= p.Timeout:
		return GiveUp
	case p.Ping == 0 || now < m.due(p):
	case !m.beating || p.Timeout == 0 && m.beatTaken(c):
		return Beat
	case p.Timeout == 0:
		m.beat = now // the last heartbeat serves for this one
	}
	return Wait
}

// due returns when the next heartbeat is.
func (m *Monitor) due(p *Policy) time.Duration {
	if p.Regular {
		return m.beat + p.Ping
	}
	return max(m.sign, m.beat) + p.Ping
}

// untilDue returns how long it is until the next heartbeat may be sent. One that is due already,
// while the last is not answered, is looked at again after Ping.
func (m *Monitor) untilDue(p *Policy, now time.Duration) time.Duration {
	if d := m.due(p) - now; d > 0 {
		return d
	}
	return p.Ping
}

// silentSince returns since when the peer owes a sign of life, or -1.
func (m *Monitor) silentSince(p *Policy) time.Duration {
	switch {
	case !p.Regular:
		return m.sign
	case m.beating:
		return max(m.sign, m.beat)
	}
	return -1
}

// Next returns after which time to look again.
func (m *Monitor) Next(p *Policy, now time.Duration) time.Duration {
	next := p.Interval()
	switch {
	case p.Regular && m.beating && p.Timeout > 0:
		next = min(m.untilDue(p, now), p.Timeout/4, m.silentSince(p)+p.Timeout-now)
	case p.Regular:
		next = m.due(p) - now
	}
	return max(next, 1)
}

// Sent notes that a heartbeat was sent, or that so much waits for the peer that none can be: then
// the peer is asked by what waits.
func (m *Monitor) Sent(c *engine.Conn, now time.Duration) {
	taken, waiting := c.Outgoing()
	m.beat, m.behind, m.beating = now, taken+int64(waiting), true
}

// beatTaken reports whether the peer has taken the last heartbeat, or what took its place.
func (m *Monitor) beatTaken(c *engine.Conn) bool {
	taken, waiting := c.Outgoing()
	return waiting == 0 || taken >= m.behind
}

// look reports whether there was a sign of life since the last look.
func (m *Monitor) look(c *engine.Conn, p *Policy) bool {
	if received := c.Stats().WireReceived; received != m.received {
		m.received, m.known = received, false
		return true
	}
	taken, waiting := c.Outgoing()
	waited, known := m.waiting, m.known
	m.waiting, m.known = waiting > 0, true
	own := int64(0)
	if m.beating {
		own = int64(len(p.Payload) + heartbeatSize)
	}
	if known && waited && taken > m.taken+own {
		m.taken = taken
		return true
	}
	if !known || taken < m.taken || !waited {
		m.taken = taken
	}
	return false
}

// Send sends a heartbeat with a payload, without waiting. sent says that it was, and asked that
// the peer owes an answer, or has to take what waits for it. Neither holds where the heartbeat
// can't be sent at this moment, within a fragmented message of the user's for instance.
func (p *Policy) Send(c *engine.Conn, payload []byte) (sent, asked bool) {
	err := c.TrySend(p.Opcode, payload)
	return err == nil, err == nil || errors.Is(err, engine.ErrSendQueueFull)
}

// Check returns an error if the heartbeat can't be sent at all.
func (p *Policy) Check() error {
	switch control := p.Opcode == engine.OpPing || p.Opcode == engine.OpPong; {
	case !control && p.Opcode != engine.OpText && p.Opcode != engine.OpBinary:
		return engine.ErrFrameOrder
	case control && len(p.Payload) > 125:
		return engine.ErrControlTooLong
	case p.Opcode == engine.OpText && !utf8.Valid(p.Payload):
		return engine.ErrInvalidUTF8
	}
	return nil
}

// Heartbeat returns the opcode of a heartbeat for which 0 was given: that of a text message if
// there is a payload, else that of a ping.
func Heartbeat(op engine.Opcode, payload []byte) engine.Opcode {
	switch {
	case op != 0:
		return op
	case payload != nil:
		return engine.OpText
	}
	return engine.OpPing
}
