// Package engine is the WebSocket protocol (RFC 6455, RFC 7692) without I/O: it turns received bytes
// into events, and messages into bytes to send. It uses no sockets, clocks, locks or goroutines, so
// that any program can drive it. Package websock drives it with a transport; programs that only use
// connections don't need this package.
//
//   - ParseHeader and AppendHeader parse and encode frame headers, ParseClose and AppendClose the
//     payload of close frames.
//   - A Decoder turns received bytes, split anywhere, into events, and checks that the peer follows
//     the protocol and Limits.
//   - An Encoder turns messages into frames, and checks that we follow the protocol.
//   - A Closing is the state of the closing handshake.
//   - A PerMessageDeflate is the compression state that Encoder and Decoder of one connection share.
//
// # Invariants
//
// Changes to this package must keep these: payload that a Decoder returns was validated, if it is
// text, and counted for Limits. Memory of the caller is never kept. No frame causes an allocation.
// What depends on time, such as how often pings are answered, is left to the caller.
package engine
