// Package engine is the protocol of WebSocket (RFC 6455) without sockets: frames,
// messages, the closing handshake, and the rules that a peer is held to.
//
// # Layers
//
// ParseHeader and AppendHeader read and write frame headers on slices. A Decoder
// turns received bytes into frames; it does no I/O, may be given the stream cut at
// any byte, and allocates nothing. A Conn drives it over a Transport and is what
// applications use: it receives, answers pings and close frames, sends from any
// goroutine, and keeps to Limits.
//
// # Receiving
//
// Pull: Recv puts payload into the caller's buffer as it comes; while the header of
// the next frame is incomplete it says so with OpNone, and a timeout loses nothing.
// RecvMessage and NextReader give whole messages on top of it. Push: SetHandler
// makes data arrive by callback, as views of the received bytes.
//
// # Sending
//
// Every send copies and masks its payload in one pass into a pooled buffer and
// makes one write. Frames leave together that are sent while another write is
// under way, while a batch of received bytes is handled by a Handler, or between
// Cork and Flush. Reserve lends the buffer itself, so that nothing is copied. TrySend never
// waits, SendContext waits until its context ends. A message for many connections is framed and
// compressed once: see PreparedMessage.
//
// # Memory
//
// Buffers are borrowed while bytes are under way. A Conn that is idle holds none.
//
// # Invariants
//
// For whoever changes this package: payload handed out has been validated (text)
// and counted against Limits; a frame once begun on the wire is finished or the
// connection ends; nothing is sent after a close frame; a receive never waits for
// another goroutine's write; the Decoder, and all files but those that hold a
// Conn's deadlines and addresses, know neither sockets nor clocks, and nothing
// here starts a goroutine.
package engine
