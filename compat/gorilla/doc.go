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
// read that has failed, also by a deadline, fails again. When a read returns a *CloseError, the
// peer's close frame was answered, if that took no longer than a second. A write that has failed or reached its
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
//   - After a handler of pings or pongs has failed, what has come together with that frame is still
//     answered: other pings, and a close frame.
//   - After a close message was written, reads wait for the peer's for at most 5 seconds. Its code
//     is then that of our message, without a text, also for the function of SetCloseHandler. A close
//     message that reaches its deadline ends the message that is being written.
//   - While a message is being written, WriteControl queues pings and pongs, and returns, as long as
//     no more than 64 KiB wait. The answer to a ping delays no read.
//   - Reads never panic, where gorilla's panic when they have returned an error 1,000 times. After
//     Close they return nothing that has arrived before. After the read deadline, too, where
//     gorilla's return what is in the buffer.
//   - After a read that has found the end of the stream nothing can be written: the connection is
//     closed.
//   - A close message with a code that must not be sent, such as 1006, or a text that isn't UTF-8 is
//     an error. A received one is valid with code 1014, and not with a payload of one byte.
//   - WriteJSON sends nothing if the value can't be encoded, where gorilla sends an empty message.
//   - Errors have other texts.
//   - NextWriter and NewPreparedMessage are for text and binary messages only. WritePreparedMessage
//     fails while a writer has sent a part of its message, where gorilla mixes frames.
//   - A Dialer without HandshakeTimeout gives up after 30 seconds. Dialer.Dial returns a
//     *websock.HandshakeError if there was no response, in whose chain is the error of the network.
//   - A Dialer refuses URLs with a fragment, headers and subprotocols with characters that they must
//     not have, and responses with a subprotocol or an extension that it has not offered. It sends
//     no User-Agent of its own.
//   - Without a CheckOrigin, Upgrader also compares the scheme of the page with that of the
//     request, and default ports are equal to none.
//   - A request that doesn't ask for a WebSocket of version 13 gets status 426, and from gorilla 400.
//     One with two keys or Origins, or a malformed header, is refused. Frames that are sent before
//     the response are read, where gorilla refuses the request.
//   - The headers in the argument of Upgrade must not be those of the opening handshake, nor have
//     characters that headers must not have: then the request gets status 500. A subprotocol in it
//     is only agreed on if the client offers it.
//   - Upgrader also accepts WebSockets over HTTP/2, if the server is one of
//     websock.ConfigureServer. Close resets the stream, and what the peer has not yet taken is lost:
//     read until the peer's close frame first.
//   - ReadBufferSize and WriteBufferSize have no effect: buffers come from a pool, and are held
//     while something is in them.
//
// # What there isn't
//
// What can't be made of package websock doesn't compile: NetConn and UnderlyingConn, since bytes
// beside the protocol would break the connection; EnableWriteCompression and SetCompressionLevel,
// since compression is settled when a connection is opened; WriteBufferPool and BufferPool;
// Upgrader.Error, Upgrader.HandshakeTimeout and HandshakeError, as the error of Upgrade is a
// *websock.HandshakeError; JoinMessages; NewClient and the functions Upgrade, ReadJSON and
// WriteJSON, which gorilla has deprecated. Writers have no methods WriteString and ReadFrom, which
// io.WriteString and io.Copy do without.
package websocket
