// Package websock opens WebSocket connections (RFC 6455), many of them in one
// process.
//
// Open and Dial connect as a client, Accept as a server inside net/http. What they
// return is a Conn: sends from any goroutine, and received data either pulled with
// Recv, piece by piece into the caller's buffer, or whole with RecvMessage, or pushed
// to a Handler. Its methods, and those of the other types that are aliases, are
// documented in package engine.
//
//	conn, err := websock.Dial(ctx, "wss://example.com/feed", nil)
//	if err != nil {
//		return err
//	}
//	defer conn.Close()
//	conn.SendText([]byte(`{"subscribe":"trades"}`))
//	op, msg, err := conn.RecvMessage(nil)
//
// A receive that times out is no failure: it returns ErrTimeout, loses nothing and
// can be repeated. All that a peer can make a connection cost is bounded by
// Limits.
package websock
