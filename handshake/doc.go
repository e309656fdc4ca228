// Package handshake performs the opening handshake of WebSocket (RFC 6455 section
// 4), in both roles.
//
// The messages are written and read by github.com/gobwas/ws. Around it, this
// package checks what must not be sent, bounds what is received in size and time,
// demands of the answer all that the RFC demands, and keeps the bytes that came
// after it: frames may follow at once. Every failure is an *engine.HandshakeError.
package handshake
