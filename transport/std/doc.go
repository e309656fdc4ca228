// Package std is the transport over any net.Conn, with one goroutine for each connection. It is the
// default of package websock, and carries what other transports can't.
//
// Where the net.Conn has a descriptor (TCP and Unix sockets, on Unix systems), a pooled buffer is
// borrowed only when bytes can be read, and returned when they have been consumed: a connection
// that waits holds no buffer. For any other net.Conn, such as a tls.Conn or a pipe, a buffer of 4
// KiB is held while waiting.
//
// A Conn without a Handler reads in the goroutine that calls Recv. A read that waits for a message
// takes two system calls: one that finds nothing, and one that reads. With a Handler, a goroutine of
// the transport reads, with one system call for each message if there is a descriptor. In return,
// the end of a stream that arrives together with the last bytes of a busy connection, without a
// close frame, may be noticed up to a quarter of a second late.
//
// Close never waits for a Handler. While one is being called, Close shuts the socket down, so that
// the peer sees the end of the stream, and the descriptor is closed when the Handler returns. The
// Close method of a net.Conn that is not a socket may block: it is called in a goroutine, and Close
// waits for it for at most a millisecond.
//
// A tls.Conn that was not made by package transport/tls replies to the peer's key updates (RFC 8446
// section 4.6.3) in its Read method. If the peer reads nothing, that blocks. A read deadline does
// not end it; a write deadline or Close does.
package std
