package websocket

import (
	"net/http"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock"
)

// An Upgrader opens connections as a server. It may be used by several goroutines at once.
type Upgrader struct {
	// These have no effect.
	ReadBufferSize, WriteBufferSize int

	// Subprotocols that the server knows, in order of preference. The first that the client offers
	// is agreed on. nil: that of the header Sec-WebSocket-Protocol in the argument of Upgrade, if
	// the client offers it.
	Subprotocols []string

	// CheckOrigin decides about the Origin of the request. nil: requests without one, and from
	// pages of the same host, port and scheme.
	CheckOrigin func(r *http.Request) bool

	// EnableCompression agrees to permessage-deflate without context takeover.
	EnableCompression bool
}

// Upgrade makes a connection of a request. responseHeader is sent with the response. If Upgrade
// fails, it has answered the request, and the error is a *websock.HandshakeError.
func (u *Upgrader) Upgrade(w http.ResponseWriter, r *http.Request, responseHeader http.Header) (*Conn, error) {
	c := newConn()
	options := &websock.AcceptOptions{
		Subprotocols: u.Subprotocols,
		CheckOrigin:  u.CheckOrigin,
		Compression:  compression(u.EnableCompression),
		Header:       responseHeader.Clone(),
		Limits:       limits,
		KeepAlive:    c.keepAlive(),
	}
	if u.Subprotocols == nil {
		options.Subprotocols = listed(responseHeader, "Sec-Websocket-Protocol")
	}
	options.Header.Del("Sec-Websocket-Protocol")
	var err error
	if c.ws, err = websock.Accept(w, r, options); err != nil {
		return nil, err
	}
	return c, nil
}

// Subprotocols returns the subprotocols that the client offers.
func Subprotocols(r *http.Request) []string { return listed(r.Header, "Sec-Websocket-Protocol") }

// IsWebSocketUpgrade reports whether the client asks for a WebSocket, over HTTP/1.1.
func IsWebSocketUpgrade(r *http.Request) bool {
	has := func(name, value string) bool {
		return slices.ContainsFunc(listed(r.Header, name), func(e string) bool { return strings.EqualFold(e, value) })
	}
	return has("Connection", "upgrade") && has("Upgrade", "websocket")
}
