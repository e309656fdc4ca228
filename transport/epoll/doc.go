// Package epoll carries connections on event loops of its own. An idle connection with a Handler is
// a descriptor, a websock.Conn and the Conn of this package; it has no goroutine, no buffer and no
// timer.
//
// Set websock.Config.Transport to Transport(). The connection is dialed, secured and opened over
// an ordinary net.Conn; then its descriptor moves to a loop. What arrives is read into memory that
// all connections of the loop share, and OnData gets a view of it. So a Handler runs in the loop's
// goroutine, and must not block: while it does, nothing is received on any connection of the loop.
// A Handler that has to wait calls Pause of the websock.Conn, continues in another goroutine, and
// calls Resume.
//
// When several connections are ready, a loop receives for all of them, calls their Handlers, and then
// sends what those have sent, with one system call for all receives and one for all sends if io_uring
// can be used: see [Batching]. What a Handler sends is held back meanwhile, for about 200 µs at most
// unless a Handler takes longer, and for a few milliseconds if one doesn't return.
//
// What the peer doesn't take at once is queued, up to Limits.SendQueue, and sent when the peer
// does. So a peer that stops reading delays no others.
//
// Without a Handler, Recv works as over net.Conn, in the goroutine that calls it, with one read a
// message.
//
// The loop keeps the read deadlines of connections with a Handler, and the write deadlines of what
// is queued, with a resolution of 10 ms.
//
// The package works on Linux. On other systems it compiles, and connections are carried by package
// transport/std.
package epoll
