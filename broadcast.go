package websock

import (
	"github.com/seed004e8d11/websock/internal/gather"
	"github.com/seed004e8d11/websock/transport/h2"
)

// Session returns the HTTP/2 connection (RFC 8441) that carries this WebSocket and maybe others: those
// for which Session returns the same. It is nil if the WebSocket has a connection of its own, and over
// HTTP/3 and net/http's own HTTP/2 server. Session may be called from any goroutine, even after Close.
//
// The Session remains that of the Mux or the server. A goroutine that sends different messages to several
// of its WebSockets can call Cork before and Flush afterwards, so that they are written together.
func (c *Conn) Session() *h2.Session {
	if st, ok := c.batch.t.(*h2.Stream); ok {
		return st.Session()
	}
	return nil
}

// Broadcast sends the message to conns, to each as TrySendPrepared does, so it never waits for a peer. What
// goes to WebSockets that share an HTTP/2 connection is written together, in pieces of about 64 KiB. They
// get it one after another, and so the order is not always that of conns. Broadcast neither changes nor
// keeps conns. It may be called from any goroutine, and from a Handler.
//
// Then it calls unsent, unless that is nil, for each connection to which nothing was sent, with the error
// of TrySendPrepared: for example to close those that are ErrSendQueueFull. unsent may do anything that the
// caller may.
func (pm *PreparedMessage) Broadcast(conns []*Conn, unsent func(c *Conn, err error)) {
	type failure struct {
		conn *Conn
		err  error
	}
	var failures []failure
	gather.Each(conns, (*Conn).Session, func(c *Conn) {
		if err := c.TrySendPrepared(pm); err != nil && unsent != nil {
			failures = append(failures, failure{c, err})
		}
	})
	for _, f := range failures {
		unsent(f.conn, f.err)
	}
}
