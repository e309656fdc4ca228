// Package handshake performs the opening handshake of WebSocket (RFC 6455 section 4) over an open
// connection, in both roles, and asks HTTP proxies for a tunnel. It also makes and checks the messages
// of the opening handshake over a stream of HTTP/2 (RFC 8441).
//
// A message is parsed by one parser, which has the last word: a request by net/http, a response by
// net/textproto. (A 101 response may have headers about a body, which mean nothing in it but which
// http.ReadResponse rejects.) A response that is written as nearly all are is taken without it: then
// nothing is copied, and what it means is the same.
//
// A client sends its request and checks the response by itself, since opening connections is what many
// programs of this module spend most on. As a server, it has github.com/gobwas/ws compute
// Sec-WebSocket-Accept and write the response; gobwas/ws takes the request as net/http has parsed it. This
// package does the rest. It rejects headers that must not be sent, bounds the size of what is received and
// the time that it takes, and makes the checks that the RFC demands and gobwas/ws doesn't make: repeated and
// folded headers, lists of tokens, the origin. It negotiates permessage-deflate (RFC 7692 section 7), and it
// returns the bytes that follow the message, which may be frames. The parser of extensions of gobwas/ws,
// gobwas/httphead, isn't used: it accepts malformed lists such as "a;" and "a b", and loses characters of
// quoted values. Buffers come from pools; nothing that is returned refers to them.
//
// Of HTTP/2 this package knows messages only, as values: header lists, and requests and responses of
// net/http. What doesn't depend on the version of HTTP is shared: subprotocols, extensions, the rules
// for origins, the checks of the application, errors and limits. What gobwas/ws does is not needed
// there, where no key proves that the server understands WebSocket.
//
// Every error is a *HandshakeError. No function keeps a goroutine or its arguments after it has
// returned.
package handshake
