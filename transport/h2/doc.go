// Package h2 carries many byte streams over one HTTP/2 connection (RFC 9113), for WebSockets over
// HTTP/2 (RFC 8441). Package websock uses it for Config.Mux and for ConfigureServer; programs seldom need
// it themselves.
//
// A [Session] is one connection, in either role, over any transport.Conn that calls a Receiver and can
// write without waiting: those of transport/std, transport/epoll and transport/netpoll, also with
// transport/tls over them. A [Stream] is itself a transport.Conn that does.
//
// # Receiving
//
// The carrier calls the Session when bytes arrive, and the Session calls the Receivers of its streams, one
// after another, on the goroutine of the carrier. They get payload where the carrier has it, without a
// copy. What a Receiver leaves, what arrives during a pause, and what goroutines read with View and Read
// is copied.
//
// The window of the connection is refunded when bytes arrive, and that of a stream when they are
// consumed. So a stream that is paused, or whose reader is slow, holds up no other. In the worst case a
// Session keeps Config.Window bytes for each of its streams.
//
// # Sending
//
// A write of a stream never waits. What it sends is put into frames as far as the windows of the stream
// and the connection allow and the carrier takes it; the rest is queued by the stream. What Receivers
// send during a turn is written at its end, together with what is sent meanwhile for other streams.
// Streams that have something queued send a frame each in turn.
//
// # Cost
//
// A Session has no goroutine and no timer of its own, and an idle stream no buffer either.
package h2
