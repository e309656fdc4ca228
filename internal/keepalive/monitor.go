package keepalive

import (
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// A Conn is a connection as a Monitor sees it. websock.Conn documents Outgoing, Paused and
// WritesBlock.
type Conn interface {
	// Received returns how many bytes were received so far, and how many pauses have ended.
	Received() (bytes, pauses uint64)

	Outgoing() (taken int64, waiting int)
	Paused() bool
	WritesBlock() bool

	// SendHeartbeat sends a message; it waits for the peer only where WritesBlock. asked says
	// that the peer now owes a sign of life: the message was sent, or so much waits for the peer
	// that it can't be. Otherwise it can't be sent at the moment, for instance within a
	// fragmented message of the application, and the next visit tries again.
	SendHeartbeat(op engine.Opcode, payload []byte) (asked bool)
}

// A Monitor watches one connection: Start first, then Visit as often as they say. One goroutine
// at a time uses it. All times that it is given count from the same moment, which may be any.
//
// Signs of life are bytes that are received, and bytes that the peer takes while others wait for
// it. So a peer that takes a large message slowly is alive, although it has not reached the ping
// behind that message. What leaves while nothing waits is no sign: the system takes it whether
// the peer lives or not. The same holds if few bytes waited at the last visit and all of them have
// left: they may have waited only for their acknowledgement, which the peer's system sends.
//
// While the application has paused receiving, what the peer sends isn't seen, so its silence says
// nothing. It counts from the first visit after the pause, and so does an answer to a heartbeat. That
// holds for pauses between two visits as well: the answer may have arrived in one.
type Monitor struct {
	received   uint64        // bytes, at the last visit
	taken      int64         // bytes, at the last sign of life, or the least since
	lastSign   time.Duration // when the last sign of life was seen
	lastBeat   time.Duration // when the last heartbeat was sent
	beatEnd    int64         // the peer has the last heartbeat once it has taken so much
	goal       int64         // bytes, once the peer has taken all that waited at the last visit
	much       bool          // more than unacknowledged bytes waited then
	known      bool          // taken, goal and much were looked at since something was received
	unanswered bool          // no sign of life has come since the last heartbeat
	pauses     uint8         // how many had ended at the last visit, modulo 256
	sending    atomic.Bool   // a goroutine sends a heartbeat
}

// heartbeatOverhead bounds what the peer takes of a heartbeat beyond its payload: the frame
// header, and what TLS adds.
const heartbeatOverhead = 128

// unacknowledged bounds what waits while an application sends small messages now and then and the
// peer's system acknowledges them late.
const unacknowledged = 4 << 10

// Start begins to watch a connection and returns the time until the first Visit; 0: p asks for
// none. With Regular, the first heartbeat is due after firstBeat.
func (m *Monitor) Start(c Conn, p *Policy, now, firstBeat time.Duration) (next time.Duration) {
	if p.Off() {
		return 0
	}
	*m = Monitor{lastSign: now, lastBeat: now + firstBeat - p.Ping}
	m.sawSign(c, p)
	return m.untilNext(p, now)
}

// Visit looks at the connection, and sends a heartbeat if one is due. It returns the time until
// the next Visit; 0: the peer is dead, and the connection is to be aborted.
func (m *Monitor) Visit(c Conn, p *Policy, now time.Duration) (next time.Duration) {
	paused := c.Paused() // before sawSign, which sees a pause that ends now
	if m.sawSign(c, p) || paused {
		m.lastSign, m.unanswered = now, false
	}
	since, owed := m.silentSince(p)
	if owed && p.Timeout > 0 && now-since >= p.Timeout {
		return 0
	}
	if p.Ping > 0 && now >= m.due(p) {
		m.beat(c, p, now)
	}
	return m.untilNext(p, now)
}

// beat sends a heartbeat that is due, unless the peer has not even taken the last one.
func (m *Monitor) beat(c Conn, p *Policy, now time.Duration) {
	switch {
	case !m.unanswered || p.Timeout == 0 && m.tookBeat(c):
		if m.send(c, p) {
			taken, waiting := c.Outgoing()
			m.lastBeat, m.beatEnd, m.unanswered = now, taken+int64(waiting), true
		}
	case p.Timeout == 0:
		m.lastBeat = now // the last heartbeat serves for this one
	}
}

// send sends a heartbeat, in a goroutine if that may wait for the peer. It reports whether the
// peer owes a sign of life now.
func (m *Monitor) send(c Conn, p *Policy) (asked bool) {
	if !c.WritesBlock() {
		return c.SendHeartbeat(p.Opcode, p.Payload)
	}
	if !m.sending.Swap(true) {
		go func() {
			defer m.sending.Store(false)
			c.SendHeartbeat(p.Opcode, p.Payload)
		}()
	}
	return true
}

// due returns when the next heartbeat is due.
func (m *Monitor) due(p *Policy) time.Duration {
	if p.Regular {
		return m.lastBeat + p.Ping
	}
	return max(m.lastSign, m.lastBeat) + p.Ping
}

// silentSince returns since when the peer owes a sign of life, and whether it does.
func (m *Monitor) silentSince(p *Policy) (since time.Duration, owed bool) {
	if p.Regular {
		return max(m.lastSign, m.lastBeat), m.unanswered
	}
	return m.lastSign, true
}

// untilNext returns the time until the next visit.
func (m *Monitor) untilNext(p *Policy, now time.Duration) time.Duration {
	next := p.interval()
	if p.Regular {
		next = m.due(p) - now
		if since, owed := m.silentSince(p); owed && p.Timeout > 0 {
			if next <= 0 { // a heartbeat is due, but the last one is not answered
				next = p.Ping
			}
			next = min(next, p.Timeout/4, since+p.Timeout-now)
		}
	}
	return max(next, 1)
}

// tookBeat reports whether the peer has taken the last heartbeat, or what waited in its place.
func (m *Monitor) tookBeat(c Conn) bool {
	taken, waiting := c.Outgoing()
	return waiting == 0 || taken >= m.beatEnd
}

// sawSign reports whether there was a sign of life since the last visit, or a pause in which it may have
// been missed.
func (m *Monitor) sawSign(c Conn, p *Policy) bool {
	if received, pauses := c.Received(); received != m.received || uint8(pauses) != m.pauses {
		m.received, m.pauses, m.known = received, uint8(pauses), false
		return true
	}
	taken, waiting := c.Outgoing()
	noSign, known := !m.much && taken >= m.goal, m.known
	m.goal, m.much, m.known = taken+int64(waiting), waiting > unacknowledged, true
	heartbeat := int64(0) // what the system may have taken of our own heartbeat
	if m.unanswered {
		heartbeat = int64(len(p.Payload) + heartbeatOverhead)
	}
	if known && !noSign && taken > m.taken+heartbeat {
		m.taken = taken
		return true
	}
	if !known || noSign || taken < m.taken {
		m.taken = taken
	}
	return false
}
