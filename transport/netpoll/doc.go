// Package netpoll carries connections on the pollers of github.com/cloudwego/netpoll, for a
// process that lives on it already. Others are better served by package transport/epoll,
// which costs a third of the memory.
//
// Set websock.Config.Transport to Transport(). The connection is dialled, secured and opened
// over an ordinary net.Conn; then one of netpoll's pollers watches its descriptor. With a
// Handler, OnData is called from a goroutine that ends when there is no more to handle, so that
// an idle connection has none. Without one, Recv waits for the poller, and deadlines work as
// over net.Conn.
//
// What comes is read as soon as the poller reports it, into memory of a pool that is given back
// when it is handled; netpoll's own buffers are not used. When a Handler pauses, or falls behind
// by 128 KiB, the rest stays with the system. What the peer doesn't take is queued, up to
// Limits.SendQueue, and written by a goroutine that exists only as long.
//
// An idle connection takes 1.4 to 2.5 KB of resident memory; docs/memory.md compares.
//
// This is for Linux and macOS. On other systems the package is there, and hands every
// connection to package transport/std.
package netpoll
