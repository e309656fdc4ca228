// Package h3 carries WebSockets over HTTP/3 (RFC 9220), with quic-go: each is a stream of a QUIC
// connection, which many share. It is a module of its own, so programs that don't import it don't get
// quic-go. It is experimental: its names may change.
//
// A client sets the field HTTP3 of its websock.Mux to a [Dialer]. Dial and Open with this Mux then use
// HTTP/3 for wss URLs, and HTTP/2 or HTTP/1.1 if that can't be had. A server calls [ConfigureServer], and
// websock.Accept in its http.Handler, as for HTTP/1.1 and HTTP/2. Both get a websock.Conn with the same
// methods, limits and errors. docs/http3.md has more.
//
// # Cost
//
// quic-go has no way to call when bytes arrive, so each WebSocket that receives, with a websock.Handler or
// without, has a goroutine: on a server one of its own, since the one that has called Accept ends. It holds
// no buffer while it waits.
//
// # 0-RTT
//
// A client never sends a request as 0-RTT data, and ConfigureServer makes a server refuse them unless its
// quic.Config has Allow0RTT: whoever has recorded such data can send it again, and an extended CONNECT may
// change something. It would also gain nothing, since a request has to wait for the server's settings,
// which come when the handshake is complete.
//
// # Errors
//
// A WebSocket whose stream was reset ends with an error that has a *[StreamError] in its chain, and all of
// a QUIC connection that has ended with one that has a *[SessionError], both with the code of HTTP/3.
// errors.As also finds them as *websock.StreamError and *websock.SessionError, with the code of HTTP/2 that
// means the same.
package h3
