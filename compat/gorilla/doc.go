// Package websocket has the calls of github.com/gorilla/websocket that most programs use, made of
// those of package websock. A program that uses no others works after a change of its import:
//
//	import "github.com/seed004e8d11/websock/compat/gorilla"
//
// in place of github.com/gorilla/websocket. The name of the package is websocket. Conn.Websock
// returns the connection of package websock below, so that a program can move on call by call.
//
// A test runs the same scenarios with both libraries and compares what they return and what is
// sent: messages, close codes, deadlines, errors of reads and writes after the end.
//
// # What is the same
//
// One goroutine reads. Pings are answered, and handlers are called, only while something reads. A
// read that has failed, also by a deadline, fails again. A write that has failed or reached its
// deadline ends writing. Close closes the connection without a close frame. Write a close message
// first, as with gorilla; messages of the peer can then still be read until its close frame has
// come. Errors after that are a *CloseError, a net.Error with Timeout, ErrReadLimit, ErrCloseSent,
// net.ErrClosed or another error of the network.
//
// # What is different
//
//   - Any number of goroutines may write messages, where gorilla panics or mixes frames.
//   - Messages of more than 16 MiB are refused unless SetReadLimit sets another limit. Its limit
//     also counts bytes after decompression. The other defaults of websock.Limits apply, too:
//     fragments, pongs a second.
//   - Text that is not UTF-8 is an error: it isn't sent, and the peer that sends it gets close code
//     1007.
//   - A ping is answered in any case, before the function of SetPingHandler is called. A pong that
//     the function writes with the same payload is taken for that answer, and not sent again. The
//     peer's close frame is answered with its code before the function of SetCloseHandler is
//     called; a close message that the function writes is taken for that answer, and nothing else
//     can be written any more.
//   - After a close message was written, reads wait for the peer's for at most 5 seconds. Its code
//     is then that of our message.
//   - After a read that has found the end of the stream nothing can be written: the connection is
//     closed.
//   - A close message with a code that must not be sent, such as 1006, is an error.
//   - WriteJSON sends nothing if the value can't be encoded, where gorilla sends an empty message.
//   - NextWriter is for text and binary messages only.
//   - Errors have other texts.
//   - A Dialer without HandshakeTimeout gives up after 30 seconds. Dialer.Dial returns a
//     *websock.HandshakeError if there was no response, in whose chain is the error of the network.
//   - Without a CheckOrigin, Upgrader also compares the scheme of the page with that of the
//     request, and default ports are equal to none.
//   - A request that doesn't ask for a WebSocket gets status 426, and from gorilla 400.
//   - Upgrader also accepts WebSockets over HTTP/2, if the server is one of
//     websock.ConfigureServer.
//   - ReadBufferSize and WriteBufferSize have no effect: buffers come from a pool, and are held
//     while something is in them.
//
// # What there isn't
//
// What can't be made of package websock doesn't compile: NetConn and UnderlyingConn, since bytes
// beside the protocol would break the connection; EnableWriteCompression and SetCompressionLevel,
// since compression is settled when a connection is opened; WriteBufferPool; Upgrader.Error and
// Upgrader.HandshakeTimeout; NewClient and the function Upgrade, which gorilla has deprecated.
package websocket
