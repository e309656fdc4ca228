// Package handshake performs the opening handshake of WebSocket (RFC 6455 section
// 4), in both roles, over a connection that is there already.
//
// The messages are written and judged by github.com/gobwas/ws. Around it, this
// package checks what must not be sent, bounds what is received in size and time,
// demands of the peer all that the RFC demands, and keeps the bytes that came after
// its message: frames may follow at once. What was received is taken apart once, by the
// standard library, and gobwas/ws is given what came out of that: two parsers never
// disagree about one message.
//
// Every failure is a *HandshakeError. No function keeps a goroutine or its
// arguments after it has returned.
package handshake
