// Package transport is the contract between a websock.Conn and what carries its bytes.
//
// A program that only uses connections needs one name of it: a [Factory], which packages
// transport/std, transport/epoll and transport/netpoll provide, is what websock.Config.Transport
// holds. The rest is for authors of transports.
//
// # Writing a transport
//
// Implement [Conn], and a [Factory] that makes it. That is enough for Recv and the blocking sends.
// Three more interfaces are optional:
//
//   - [Pusher] lets a connection have a Handler: the transport calls a [Receiver] when bytes arrive.
//   - [Queue] lets a connection send without waiting for the peer. Without it TrySend, SendContext
//     and writes of a NetConn wait, whatever their deadline or context.
//   - [Batcher] writes what the Handlers of several connections answer together.
//
// A Factory that needs file descriptors or the like beside the connection can implement
// [Reserver].
//
// Package transport/transporttest tests that a transport keeps these promises, and has a worked one as
// its example, which docs/own-transport.md explains.
//
// # Time
//
// Close, Pause, Resume, Push and TryWrite never wait: not for the peer, not for a Receiver that is
// being called, and they never call one, so that their callers may hold locks. View, Read, Writev,
// Drain and Linger may wait, at most until their deadline or until Close.
//
// # Deadlines
//
// A deadline that passes ends the waiting of View and Read and nothing else: no byte is lost, and
// the next call may be made at once. A write deadline that passes may leave a part of a frame
// written, so the Conn sends nothing after it.
package transport
