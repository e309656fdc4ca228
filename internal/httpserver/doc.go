// Package httpserver serves the requests of an HTTP/2 connection with an http.Handler, as net/http
// does (RFC 9113 section 8), over a session of package transport/h2. A handler that accepts a WebSocket
// takes the stream of its request (RFC 8441).
//
// Each request has a goroutine as long as its handler runs. A stream that was taken has none.
package httpserver
