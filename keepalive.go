package websock

import (
	"errors"
	"time"
	"weak"

	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/timing"
)

// A KeepAlive says how a connection on which nothing moves is kept alive, and when it is
// given up. Its zero value does neither. All connections of the process share one timing
// wheel: no connection has a timer or a goroutine for it, and none can hold it up.
//
// What counts as a sign of life is what was received: data, pings, and the pongs that answer
// ours; and that the peer takes what is sent, while more of it waits. So an upload isn't cut
// because the ping stands behind it, and a peer that takes nothing is given up.
//
// On a connection without a Handler only a receive under way takes bytes from the network, so a
// program that doesn't call Recv for as long as Timeout loses the connection. So does a
// Handler that takes as long for one call; but one that pauses is left alone meanwhile.
type KeepAlive struct {
	// Ping is the time without a sign of life after which a ping is sent (RFC 6455
	// section 5.5.2), exact to a quarter of it. At most one is under way, and it waits for
	// nobody: while as much waits for the peer as may, it is left out. 0: no pings.
	Ping time.Duration

	// Timeout is the time without a sign of life after which the connection is
	// aborted; receives, sends and OnClose then get an error that is ErrIdle. It is exact
	// to a quarter of the shorter of Ping and Timeout. 0: twice Ping. Negative: never.
	Timeout time.Duration

	// Message, unless it is nil, is sent in place of a ping, for servers that want a
	// heartbeat of their own, such as {"op":"ping"}. It must not be changed.
	Message []byte

	// Opcode is how Message is sent: OpText, OpBinary, or OpPing or OpPong with a payload of
	// at most 125 bytes. 0: OpText if there is a Message, else OpPing.
	Opcode Opcode

	// OnPing, unless it is nil, is told of pings received, also without a Handler: see
	// engine.Options. It needs neither Ping nor Timeout.
	OnPing func(c *Conn, payload []byte)
}

// idleConns are the connections of the process that are kept alive or given up.
var idleConns = timing.NewScheduler()

// start is the moment since which the times of all connections are counted.
var start = time.Now()

// policy returns how connections are watched, with the defaults in.
func (k *KeepAlive) policy() (*keepalive.Policy, error) {
	const longest = time.Duration(1 << 60) // can be added to another time
	p := &keepalive.Policy{
		Ping:    min(max(k.Ping, 0), longest),
		Timeout: min(k.Timeout, longest),
		Opcode:  k.Opcode,
		Payload: k.Message,
	}
	if p.Timeout == 0 {
		p.Timeout = 2 * p.Ping
	}
	p.Timeout = max(p.Timeout, 0)
	if err := p.Complete(); err != nil {
		return nil, &HandshakeError{Reason: "the KeepAlive's Message can't be sent", Err: err}
	}
	return p, nil
}

// keepAlive begins to keep c alive.
func keepAlive(c *Conn, p *keepalive.Policy) {
	k := &keptAlive{conn: weak.Make(c), policy: p}
	if first := k.monitor.Start(heartbeatConn{c}, p, time.Since(start), p.Ping); first > 0 {
		idleConns.Add(first, k)
	}
}

// A keptAlive is a connection in idleConns, which doesn't keep the connection in memory.
type keptAlive struct {
	conn    weak.Pointer[Conn]
	policy  *keepalive.Policy
	monitor keepalive.Monitor
}

// Run makes a keptAlive a timing.Task.
func (k *keptAlive) Run() (next time.Duration) {
	c := k.conn.Value()
	if c == nil || c.Err() != nil {
		return 0
	}
	next = k.monitor.Visit(heartbeatConn{c}, k.policy, time.Since(start))
	if next == 0 {
		c.Abort(ErrIdle)
	}
	return next
}

// A heartbeatConn is a connection as its keepalive.Monitor sees it.
type heartbeatConn struct{ *Conn }

func (c heartbeatConn) Received() uint64 { return c.Stats().WireReceived }

func (c heartbeatConn) SendHeartbeat(op Opcode, payload []byte) (asked bool) {
	err := c.TrySend(op, payload)
	return err == nil || errors.Is(err, ErrSendQueueFull)
}
