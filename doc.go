// Package websock opens WebSocket connections (RFC 6455), many of them in one process.
//
// [Dial] and [Open] connect as a client, [Accept] as a server inside net/http. They return a
// [Conn]. Any goroutine may send. Received data is read with [Conn.RecvMessage] as whole messages,
// or with [Conn.Recv] piece by piece into the caller's buffer, or is delivered to a [Handler].
//
//	conn, err := websock.Dial(ctx, "wss://example.com/feed", nil)
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	conn.SendText([]byte(`{"subscribe":"trades"}`))
//	op, msg, err := conn.RecvMessage(nil)
//
// With a [Mux] in the [Config], many WebSockets to a host share few HTTP/2 connections (RFC 8441),
// if the server can do that.
//
// A timeout of a receive is not a failure: the receive returns [ErrTimeout], nothing is lost, and
// the call can be repeated. [Limits] bounds everything that a peer can make a connection use.
//
// Types of the protocol, such as Header and Opcode, are aliases of those of package engine, and
// ErrTimeout is that of package transport, so that programs import this package and, if they choose
// one, a transport. Package fanout keeps many connections open. The book in docs begins with the
// first hour: docs/getting-started.md.
package websock
