// Package epoll carries connections on loops of its own, which wait for events of all of
// them at once: an idle connection with a Handler is a descriptor, a websock.Conn and the
// Conn of this package, and has no goroutine, no buffer and no timer.
//
// Set websock.Config.Transport to Transport(). The connection is dialled, secured and opened
// over an ordinary net.Conn; then its descriptor moves to a loop. What is received is read
// into memory that the loop's connections share, and goes from there through the decoder to
// OnData as a view. So a Handler runs in the loop's goroutine, and must not wait: while it
// does, nothing is received on any of the loop's connections. One that has to wait calls
// a websock.Conn's Pause, goes on elsewhere, and calls Resume.
//
// What the peer doesn't take at once is queued, up to Limits.SendQueue, and leaves when it
// does: a peer that stops reading holds up nobody.
//
// Without a Handler, Recv works as over net.Conn, in the goroutine that calls it, with one
// read a message.
//
// Read and write deadlines are exact to 10 ms where the loop keeps them, which is with a
// Handler and for what is queued.
//
// This is for Linux. On other systems the package is there, and hands every connection to
// package transport/std.
package epoll
