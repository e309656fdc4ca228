// Package std carries connections over any net.Conn, with a goroutine for each.
//
// Where the net.Conn has a descriptor (TCP and Unix sockets on Unix systems), a
// buffer is borrowed only once bytes can be read, and given back when they are
// handled: a connection that waits holds none. Over anything else, TLS and pipes
// among them, a small buffer is held while waiting.
//
// Received data can be pulled with a websock.Conn's Recv, or pushed to a Handler by a
// goroutine that the transport starts. Pushing takes one read a message where there is
// a descriptor. In return, the end of a busy connection that arrives together with its
// last bytes, and with no close frame, can go unseen for a quarter of a second. Pulling
// takes a second read where the caller waits for the message: it has to ask before it
// can wait.
//
// Close never waits for a Handler. While one is at work the socket is shut down, so that the
// peer sees the stream end, and its descriptor is closed when the Handler returns. A net.Conn
// that is no socket may take its time to close: a goroutine does it, and Close waits for that
// for a millisecond at most.
//
// A tls.Conn that wasn't made by package transport/tls reads and writes by itself. Its Read
// answers the peer's key updates (RFC 8446 section 4.6.3). If the peer takes nothing, that waits
// for the peer, and a read deadline doesn't end it: a write deadline or Close does.
package std
