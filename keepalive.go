package websock

import (
	"time"
	"weak"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/wheel"
)

// A KeepAlive says how a connection on which nothing comes is kept alive, and when it is
// given up. Its zero value does neither. All connections of the process share one timing
// wheel: no connection has a timer or a goroutine for it.
//
// What counts is what was received: data, pings, and the pongs that answer ours. On a
// connection without a Handler only a receive under way takes it from the network, so a
// program that doesn't call Recv for as long as Timeout loses the connection. So does a
// Handler that takes as long for one call; but one that pauses is left alone meanwhile.
type KeepAlive struct {
	// Ping is the time without anything received after which a ping is sent (RFC 6455
	// section 5.5.2), exact to a quarter of it. 0: no pings.
	Ping time.Duration

	// Timeout is the time without anything received after which the connection is
	// aborted; receives, sends and OnClose then get an error that is ErrIdle. It is exact
	// to a quarter of the shorter of Ping and Timeout. 0: twice Ping. Negative: never.
	Timeout time.Duration
}

// idleConns are the connections of the process that are kept alive or given up.
var idleConns wheel.Wheel

// watch begins to keep c alive.
func (k KeepAlive) watch(c *engine.Conn) {
	if k.Timeout == 0 {
		k.Timeout = 2 * k.Ping
	}
	look := k.Ping / 4
	if look <= 0 || k.Timeout > 0 && k.Timeout < k.Ping {
		look = k.Timeout / 4
	}
	if look > 0 {
		w := &watched{conn: weak.Make(c), policy: k, look: look, since: time.Now()}
		idleConns.Add(look, w)
	}
}

// A watched is a connection that is looked at now and then. It doesn't keep the connection
// in memory.
type watched struct {
	conn     weak.Pointer[engine.Conn]
	policy   KeepAlive
	look     time.Duration // between two looks
	received uint64        // bytes, at the last look
	since    time.Time     // when it was seen that there were more
	pinged   bool          // since then
}

// Visit looks at the connection.
func (w *watched) Visit() time.Duration {
	c := w.conn.Value()
	if c == nil || c.Err() != nil {
		return 0
	}
	now := time.Now()
	if received := c.Stats().WireReceived; received != w.received || c.Paused() {
		w.received, w.since, w.pinged = received, now, false
		return w.look
	}
	silent := now.Sub(w.since)
	switch p := &w.policy; {
	case p.Timeout > 0 && silent >= p.Timeout:
		c.Abort(engine.ErrIdle)
		return 0
	case p.Ping > 0 && silent >= p.Ping && !w.pinged:
		w.pinged = true
		go c.SendPing(nil) // it may have to wait for the peer
	}
	return w.look
}
