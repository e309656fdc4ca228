// Package netpoll carries connections on the pollers of github.com/cloudwego/netpoll, for programs
// that use netpoll already. Others are better served by package transport/epoll, which takes a
// third of the memory.
//
// Set websock.Config.Transport to Transport(). The connection is dialed, secured and opened over
// an ordinary net.Conn; then one of netpoll's pollers watches its descriptor. With a Handler,
// OnData is called by a goroutine that ends when there is nothing more to handle, so an idle
// connection has none. Without a Handler, Recv waits for the poller, and deadlines work as over
// net.Conn.
//
// What arrives is read as soon as the poller reports it, into pooled memory that is given back when
// it has been handled; netpoll's own buffers are not used. While a Handler pauses, or is behind by
// 128 KiB, the rest is left with the system. What the peer doesn't take at once is queued, up to
// Limits.SendQueue, and written by a goroutine that exists only while something is queued.
//
// An idle connection takes 1.3 KB of resident memory; docs/memory.md compares.
//
// The package works on Linux and macOS. On other systems it compiles, and connections are carried by
// package transport/std.
package netpoll
