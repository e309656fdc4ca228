package fanout

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// beginKeepAlive begins to ping a new link. The lock is held.
func (s *Slot) beginKeepAlive() {
	if ping := s.group.options.Ping; ping > 0 {
		// Links that came up together are not pinged together.
		s.link.lastPing = s.group.now() - rand.N(ping/2+1)
		s.lookAfter(s.nextPing())
	}
}

// nextPing returns after which time a ping is due. The lock is held.
func (s *Slot) nextPing() time.Duration {
	return s.link.lastPing + s.group.options.Ping - s.group.now()
}

// keepAlive pings, or judges what came after a ping. The lock is held.
func (s *Slot) keepAlive() {
	l, o := s.link, &s.group.options
	silent := l.pinged && !l.conn.Paused() && l.conn.Stats().WireReceived == l.received
	if left := s.waitsSince() + o.PingTimeout - s.group.now(); silent && left > 0 {
		s.lookAfter(left)
		return
	}
	if silent {
		s.group.counts.pingTimeout()
		go l.conn.Abort(engine.ErrIdle) // OnClose follows
		return
	}
	l.pinged = false // something came, if not the pong
	if next := s.nextPing(); next > 0 {
		s.lookAfter(next)
		return
	}
	s.ping()
	s.lookAfter(min(o.Ping, o.PingTimeout))
}

// waitsSince returns since when it is the peer's turn to do something: to answer the ping, or to
// take what is sent before it. That we are late ourselves is not the peer's fault. The lock is
// held.
func (s *Slot) waitsSince() time.Duration {
	switch o := s.outbox; {
	case s.link.queues || o == nil || !o.sending:
		return s.link.lastPing
	case o.begun == 0:
		return s.group.now()
	default:
		return max(s.link.lastPing, o.begun)
	}
}

// ping sends a ping. The lock is held.
func (s *Slot) ping() {
	l := s.link
	l.pinged, l.lastPing = true, s.group.now()
	l.pings++
	l.received = l.conn.Stats().WireReceived
	s.group.counts.ping()
	var payload [4]byte
	binary.BigEndian.PutUint32(payload[:], l.pings)
	if l.queues {
		l.conn.SendPing(payload[:]) // one that is refused isn't answered either
	} else {
		s.keep(engine.OpPing, payload[:])
	}
}

// OnPong measures the round trip.
func (l *link) OnPong(_ *engine.Conn, payload []byte) {
	s := l.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.pinged && len(payload) == 4 && binary.BigEndian.Uint32(payload) == l.pings {
		l.pinged = false
		l.rtt = s.group.now() - l.lastPing
		s.group.counts.roundTrip(l.rtt)
	}
}
