// Package netpoll carries connections on the pollers of github.com/cloudwego/netpoll, for a
// process that lives on it already. Others are better served by package transport/epoll,
// which costs a tenth of the memory and allocates nothing.
//
// Set websock.Config.Transport to Transport(). The connection is dialled, secured and opened
// over an ordinary net.Conn; then its descriptor goes to netpoll. With a Handler, OnData is
// called from a goroutine that ends when there is no more to handle, so that an idle
// connection has none. Without one, Recv works as over net.Conn.
//
// What comes is copied once, out of netpoll's buffers, which die with the connection; what is
// sent goes past netpoll, since its Flush waits for the peer. What the peer doesn't take is
// queued, up to Limits.SendQueue, and written by a goroutine that exists only as long. When a
// Handler pauses, or falls behind by 64 KiB, netpoll is made to read no more.
//
// # Memory
//
// An idle connection takes 11 KB of resident memory, most of it netpoll's own, of which more
// than 1 KB is a list for writes that we don't use. Where many are idle, buffers of 512
// bytes make it 5 KB. They are set for the whole process, before its first connection, and
// cost a second read now and then:
//
//	netpoll.LinkBufferCap = 512 // that of cloudwego
//	netpoll.Configure(netpoll.Config{BufferSize: 512})
//
// This is for Linux and macOS. On other systems the package is there, and hands every
// connection to package transport/std.
package netpoll
