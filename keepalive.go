package websock

import (
	"errors"
	"time"
	"weak"

	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/timing"
)

// A KeepAlive says when a connection sends pings and when it is aborted because nothing comes from
// its peer. The zero value does neither. All connections of the process share one timer; none has a
// timer or a goroutine of its own, and none can delay the pings of others.
//
// Signs of life are bytes that are received (data, pings, and the pongs that answer ours), and that
// the peer takes what is sent while more of it waits. So a long upload isn't aborted although its
// pings wait behind it, but a peer that takes nothing is. What the system buffers counts as waiting on
// Linux and macOS. Others, such as Windows, can't tell how much the peer has taken of it: a Timeout has
// to be longer than the peer may need for that.
//
// Without a Handler, only a receive under way reads from the network: a program that doesn't call
// Recv for as long as Timeout loses the connection. So does a Handler that takes as long for one
// call. A connection that is paused (Conn.Pause) is not aborted: what its peer sends isn't seen. The
// time counts anew from Resume, and so it is Timeout and half of the shorter of Ping and Timeout, at
// most, until a peer that died during the pause is noticed.
//
// Over HTTP/2, with Config.Mux or ConfigureServer, Ping and Timeout are for the connection: one PING frame (RFC 9113 section
// 6.7) serves all of its WebSockets, bytes for any of them are signs of life, and when there are none
// all of them end with an error that is ErrIdle. The shortest times that any of them has asked for
// count, also after that one has ended. A PING is answered by the other end of the connection,
// which may be a proxy: that tells of the loss of what is behind it by closing the WebSocket. With a
// Message, another Opcode than OpPing, or without Ping, the KeepAlive is for the WebSocket alone, as
// over HTTP/1.1; the connection then gets a PING when nothing was received on it for half of Timeout, and
// ends after Timeout. All of this is true for a client over HTTP/3, too. There the WebSockets of a server
// have the KeepAlive for themselves.
type KeepAlive struct {
	// Ping is the time without a sign of life after which a ping is sent (RFC 6455 section
	// 5.5.2), exact to a quarter of it. At most one ping is under way, and sending it never waits
	// for the peer: it is left out while the send queue is full. 0 or negative: no pings.
	Ping time.Duration

	// Timeout is the time without a sign of life after which the connection is aborted; receives,
	// sends and OnClose then get an error that is ErrIdle. It is exact to a quarter of the
	// shorter of Ping and Timeout. 0: twice Ping. Negative: never.
	Timeout time.Duration

	// Message, unless it is nil, is sent in place of a ping, for servers that expect a heartbeat of
	// their own, such as {"op":"ping"}. It must not be changed while a connection uses it.
	Message []byte

	// Opcode is the Message's: OpText, OpBinary, or OpPing or OpPong with a payload of at most 125
	// bytes. 0: OpText if there is a Message, else OpPing.
	Opcode Opcode

	// OnPing, unless it is nil, is called with the payload of every ping received, which is valid
	// until it returns; the ping is answered in any case. It is called by the goroutine that
	// receives, with a Handler between the calls of OnData, and must not receive itself. It needs
	// neither Ping nor Timeout.
	OnPing func(c *Conn, payload []byte)

	// OnPong is OnPing for the pongs received: those that answer pings of a KeepAlive, without a
	// payload, those that answer Conn.SendPing, and those that answer nothing.
	OnPong func(c *Conn, payload []byte)
}

// idleConns visits the connections that have a KeepAlive.
var idleConns = timing.NewScheduler()

// start is the moment from which the Monitors of all connections count.
var start = time.Now()

// notKeptAlive is the Policy of connections without a KeepAlive.
var notKeptAlive keepalive.Policy

// policy returns the Policy of the connections, with the defaults set.
func (k *KeepAlive) policy() (*keepalive.Policy, error) {
	if k.Ping <= 0 && k.Timeout <= 0 && k.Opcode == 0 && k.Message == nil {
		return &notKeptAlive, nil
	}
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

// keepAlive begins to keep c alive. A connection without a policy takes no memory for it, and a weak
// pointer would.
func keepAlive(c *Conn, p *keepalive.Policy) {
	if p.Off() {
		return
	}
	k := &keptAlive{conn: weak.Make(c), policy: p}
	idleConns.Add(k.monitor.Start(heartbeatConn{c}, p, time.Since(start), p.Ping), k)
}

// keepSessionAlive has one PING serve all WebSockets of a session, if the policy allows it, and returns
// the policy that remains for the WebSocket. Otherwise the WebSocket has heartbeats of its own; a session
// whose server has gone ends nevertheless, so that the WebSocket isn't opened again on the same one.
func keepSessionAlive(s interface {
	KeepAlive(ping, timeout time.Duration, cause error)
}, p *keepalive.Policy) *keepalive.Policy {
	if p.Ping <= 0 || p.Opcode != OpPing || p.Payload != nil {
		if p.Timeout > 0 {
			s.KeepAlive(p.Timeout/2, p.Timeout, ErrIdle)
		}
		return p
	}
	s.KeepAlive(p.Ping, p.Timeout, ErrIdle)
	return &notKeptAlive
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

func (c heartbeatConn) Received() (bytes, pauses uint64) {
	stats := c.Stats()
	return stats.WireReceived, stats.Pauses
}

func (c heartbeatConn) SendHeartbeat(op Opcode, payload []byte) (asked bool) {
	err := c.Conn.SendHeartbeat(op, payload)
	return err == nil || errors.Is(err, ErrSendQueueFull)
}
