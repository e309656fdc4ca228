package fanout

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/timing"
)

// beginKeepAlive begins to watch a new link. The lock is held.
func (s *Slot) beginKeepAlive() {
	p := s.group.heartbeat
	if p.Ping == 0 {
		return
	}
	// Links that came up together are not pinged together.
	now, m := s.group.now(), &s.link.monitor
	m.Begin(s.link.conn, p, now, p.Ping-rand.N(p.Ping/2+1))
	s.lookAfter(m.Next(p, now))
}

// keepAlive looks at the link, and returns its connection if that is to be given up. The lock is
// held.
func (s *Slot) keepAlive() (dead *websock.Conn) {
	l, p, now := s.link, s.group.heartbeat, s.group.now()
	switch l.monitor.Look(l.conn, p, now) {
	case keepalive.GiveUp:
		s.group.counts.pingTimeout()
		return l.conn
	case keepalive.Beat:
		if s.ping() {
			l.monitor.Sent(l.conn, now)
		}
	}
	s.lookAfter(max(l.monitor.Next(p, now), shortestLook))
	return nil
}

// shortestLook keeps a ping that can't be sent at the moment from being tried without end.
const shortestLook = timing.Tick

// ping sends a heartbeat, and reports whether the peer is asked now. The lock is held.
func (s *Slot) ping() (asked bool) {
	l, p := s.link, s.group.heartbeat
	payload := p.Payload
	measures := p.Opcode == websock.OpPing && payload == nil
	if measures {
		payload = binary.BigEndian.AppendUint32(nil, l.pings+1)
	}
	var sent bool
	if l.conn.WritesBlock() {
		m := message{op: p.Opcode, payload: payload}
		sent = s.group.budget.take(m.cost()) == nil
		if asked = true; sent {
			s.keep(m)
		}
	} else {
		sent, asked = p.Send(l.conn, payload)
	}
	if sent {
		s.group.counts.ping()
	}
	if sent && measures {
		l.pings++
		l.pinged, l.lastPing = true, s.group.now()
	}
	return asked
}

// OnPong measures the round trip.
func (l *link) OnPong(_ *websock.Conn, payload []byte) {
	s := l.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.pinged && len(payload) == 4 && binary.BigEndian.Uint32(payload) == l.pings {
		l.pinged = false
		l.rtt = s.group.now() - l.lastPing
		s.group.counts.roundTrip(l.rtt)
	}
}

// OnPing tells the application of a ping.
func (l *link) OnPing(_ *websock.Conn, payload []byte) {
	if g := l.slot.group; g.options.OnPing != nil && !g.over.Load() {
		g.options.OnPing(l.slot, payload)
	}
}
