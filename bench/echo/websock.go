//go:build linux

package echo

import (
	"net/http"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

// transports has the transports of websock.
var transports = map[string]websock.Transport{
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
	"std":     std.Transport(),
}

// newWebsock has one Handler for all connections.
func newWebsock(t websock.Transport) http.Handler {
	options := &websock.AcceptOptions{
		Transport: t,
		Handler: websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
			c.SendFrame(op, true, msg) // a failure closes the connection
		}, nil),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, options) // on an error it has sent a response
	})
}
