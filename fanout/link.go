package fanout

import (
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/keepalive"
)

// A link is one connection of a slot, and its websock.PongHandler and websock.PingHandler. What follows conn is under
// the slot's lock.
type link struct {
	slot     *Slot
	conn     *websock.Conn
	messages websock.Handler // gathers them for OnMessage; nil: there is no need
	limit    int             // of bytes to send that wait, where the Group keeps them
	patience time.Duration   // for a peer that doesn't take the last of them
	charged  atomic.Int64    // of the budget, for what waits in the connection
	lost     error           // how it has ended, while the crew still sends; nil: it has not

	monitor  keepalive.Monitor
	queues   bool          // a send doesn't wait for the peer
	pinged   bool          // and the pong has not come
	pings    uint32        // sent; the payload of the last one
	since    time.Duration // when it came up
	lastPing time.Duration // when it was sent
	rtt      time.Duration
}

func newLink(s *Slot, conn *websock.Conn, limits websock.Limits) *link {
	l := &link{slot: s, conn: conn, queues: conn.Queues(), limit: limits.SendQueue, patience: max(limits.CloseTimeout, 0)}
	if s.group.options.OnMessage != nil {
		l.messages = websock.Messages(l.deliver, nil)
	}
	return l
}

func (l *link) deliver(_ *websock.Conn, op websock.Opcode, msg []byte) {
	l.slot.group.options.OnMessage(l.slot, op, msg)
}

// OnData hands over what is received.
func (l *link) OnData(c *websock.Conn, h websock.Header, payload []byte) {
	g := l.slot.group
	switch {
	case g.over.Load():
	case l.messages != nil:
		l.messages.OnData(c, h, payload)
	case g.options.OnData != nil:
		g.options.OnData(l.slot, h, payload)
	}
}

// OnClose says that the link is lost.
func (l *link) OnClose(c *websock.Conn, err error) {
	if l.messages != nil {
		l.messages.OnClose(c, err)
	}
	l.slot.lost(l, err)
	l.slot = nil // the transport may keep the connection in memory for a while, but not the Group
}
