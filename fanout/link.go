package fanout

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport/h2"
)

// A link is one connection of a slot: its Handler, PingHandler and PongHandler.
type link struct {
	slot         *Slot
	conn         *websock.Conn
	target       *targetState
	messages     websock.Handler // calls OnMessage; nil: there is none
	sendQueue    int             // limit of the bytes that wait in the outbox, where the connection can't queue
	closeTimeout time.Duration   // for sending the last of these
	charged      atomic.Int64    // to the budget, for what waits in the connection
	mux          *websock.Mux    // whose connections the slot's may be a stream of; nil: none
	queues       bool            // a send doesn't wait for the peer
	keptAlive    bool            // not by the Group, but by the KeepAlive of conn

	// The slot's lock guards these.
	awaitingPong bool
	pingSeq      uint32        // payload of the last ping
	pingSent     time.Duration // when, since the Group began
	upSince      time.Duration // likewise
	rtt          time.Duration
	monitor      keepalive.Monitor
	lostErr      error // with which the connection has ended; nil: it hasn't
}

func newLink(s *Slot, conn *websock.Conn, t *Target, state *targetState) *link {
	limits := t.Config.Limits.WithDefaults()
	l := &link{
		slot:         s,
		conn:         conn,
		target:       state,
		queues:       conn.Queues(),
		sendQueue:    limits.SendQueue,
		closeTimeout: max(limits.CloseTimeout, 0),
		mux:          t.Config.Mux,
		keptAlive:    s.group.options.leavesKeepAliveTo(t.Config.Mux),
	}
	if s.group.options.OnMessage != nil {
		l.messages = websock.Messages(l.onMessage, nil)
	}
	return l
}

// session returns the HTTP/2 connection that the slot's shares with others; nil: none. l may be nil.
func (l *link) session() *h2.Session {
	if l == nil || l.mux == nil {
		return nil
	}
	return l.conn.Session()
}

// session returns that of the slot's connection. It may be another one a moment later.
func (s *Slot) session() *h2.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link.session()
}

func (l *link) onMessage(_ *websock.Conn, op websock.Opcode, msg []byte) {
	l.slot.group.options.OnMessage(l.slot, op, msg)
}

// OnData passes on what was received.
func (l *link) OnData(c *websock.Conn, h websock.Header, payload []byte) {
	g := l.slot.group
	switch {
	case g.over():
	case l.messages != nil:
		l.messages.OnData(c, h, payload)
	case g.options.OnData != nil:
		g.options.OnData(l.slot, h, payload)
	}
}

// OnClose takes the slot down.
func (l *link) OnClose(c *websock.Conn, err error) {
	if l.messages != nil {
		l.messages.OnClose(c, err)
	}
	if errors.Is(err, websock.ErrTimeout) {
		c.Abort(nil) // the stream has to be closed before the slot is dialed again
	}
	l.slot.connLost(l, err)
	l.slot = nil // the transport may keep the connection in memory for a while, but not the Group
}

// OnPing passes on a ping.
func (l *link) OnPing(_ *websock.Conn, payload []byte) {
	if g := l.slot.group; g.options.OnPing != nil && !g.over() {
		g.options.OnPing(l.slot, payload)
	}
}

// OnPong measures the round trip.
func (l *link) OnPong(_ *websock.Conn, payload []byte) {
	s := l.slot
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.awaitingPong && len(payload) == 4 && binary.BigEndian.Uint32(payload) == l.pingSeq {
		l.awaitingPong = false
		l.rtt = s.group.now() - l.pingSent
		s.group.counts.roundTrip(l.rtt)
	}
}

// startKeepAliveLocked begins to watch a new link.
func (s *Slot) startKeepAliveLocked() {
	p := s.group.heartbeat
	if p.Ping == 0 || s.link.keptAlive {
		return
	}
	// Links that came up together are not pinged together.
	firstPing := p.Ping - rand.N(p.Ping/2+1)
	s.runDueAfterLocked(s.link.monitor.Start((*heartbeatConn)(s), p, s.group.now(), firstPing))
}

// keepAliveLocked visits the link, and returns its connection if that is to be aborted.
func (s *Slot) keepAliveLocked() (dead *websock.Conn) {
	g, l := s.group, s.link
	next := l.monitor.Visit((*heartbeatConn)(s), g.heartbeat, g.now())
	if next == 0 {
		g.counts.pingTimeout()
		return l.conn
	}
	s.runDueAfterLocked(max(next, shortestVisit))
	return nil
}

// shortestVisit keeps a ping that can't be sent at the moment from being tried without a pause.
const shortestVisit = timing.Tick

// A heartbeatConn is a Slot that is up as the Monitor of its link sees it. Its methods are called
// with the slot's lock held.
type heartbeatConn Slot

func (c *heartbeatConn) Received() (bytes, pauses uint64) {
	stats := c.link.conn.Stats()
	return stats.WireReceived, stats.Pauses
}

func (c *heartbeatConn) Outgoing() (taken int64, waiting int) { return c.link.conn.Outgoing() }
func (c *heartbeatConn) Paused() bool                         { return c.link.conn.Paused() }

// WritesBlock is false: a heartbeat that could wait for the peer goes into the outbox.
func (*heartbeatConn) WritesBlock() bool { return false }

// SendHeartbeat also gives each ping a payload of its own, which measures the round trip.
func (c *heartbeatConn) SendHeartbeat(op websock.Opcode, payload []byte) (asked bool) {
	l, g := c.link, c.group
	measures := op == websock.OpPing && payload == nil
	if measures {
		payload = binary.BigEndian.AppendUint32(nil, l.pingSeq+1)
	}
	sent, asked := (*Slot)(c).sendHeartbeatLocked(op, payload)
	if !sent {
		return asked
	}
	g.counts.ping()
	if measures {
		l.pingSeq++
		l.awaitingPong, l.pingSent = true, g.now()
	}
	return asked
}

func (s *Slot) sendHeartbeatLocked(op websock.Opcode, payload []byte) (sent, asked bool) {
	if !s.link.conn.WritesBlock() {
		err := s.link.conn.SendHeartbeat(op, payload)
		return err == nil, err == nil || errors.Is(err, websock.ErrSendQueueFull)
	}
	m := message{op: op, payload: payload}
	if s.group.budget.reserve(m.cost()) != nil {
		return false, true
	}
	s.keepLocked(m)
	return true, true
}
