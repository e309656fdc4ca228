// Package engine is the WebSocket protocol (RFC 6455, RFC 7692) without I/O: received bytes go in
// and events come out, messages go in and bytes to send come out. It has no sockets, no clocks, no
// locks and no goroutines, so that it can be driven by anything. Package websock drives it over a
// transport; programs that only use connections don't need this package.
//
//   - ParseHeader and AppendHeader read and write frame headers, ParseClose and AppendClose the
//     payload of close frames.
//   - A Decoder turns received bytes, cut anywhere, into events, and holds the peer to the protocol
//     and to Limits.
//   - An Encoder turns messages into frames, and holds us to the protocol.
//   - A PerMessageDeflate is what both remember of compression for one connection.
//
// # Invariants
//
// For changes to this package: payload that a Decoder returns has been validated (text) and counted
// against Limits. Nothing of a caller's memory is kept. Nothing is allocated for a frame. What may
// depend on time, such as how often pings are answered, is the caller's.
package engine
