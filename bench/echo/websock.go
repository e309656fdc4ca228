//go:build linux

package echo

import (
	"net"
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

// websockServer has one Handler for all connections. A failure of sending closes a connection.
type websockServer struct {
	options websock.AcceptOptions
	members members[*websock.Conn]
}

func newWebsock(t websock.Transport) http.Handler {
	s := &websockServer{}
	s.options = websock.AcceptOptions{
		Transport: t,
		Handler:   websock.Messages(s.received, func(c *websock.Conn, _ error) { s.members.leave(c) }),
	}
	return s
}

// sharedStreams is how many WebSockets may share a connection.
const sharedStreams = 1000

// listenWebsockShared is a server whose connections WebSockets can share.
func listenWebsockShared() (address string, serve func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler:   newWebsock(epoll.Transport()),
		Protocols: protocols,
		HTTP2:     &http.HTTP2Config{MaxConcurrentStreams: sharedStreams},
	}
	h2 := &websock.HTTP2Server{Transport: epoll.Transport()}
	return listener.Addr().String(), func() error { return server.Serve(listener) }, h2.Configure(server)
}

func (s *websockServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, &s.options)
	if err != nil {
		return // Accept has sent a response
	}
	s.members.join(conn)
	if conn.Err() != nil { // it may have left before
		s.members.leave(conn)
	}
}

func (s *websockServer) received(c *websock.Conn, op websock.Opcode, msg []byte) {
	if op != websock.OpText {
		c.SendFrame(op, true, msg)
		return
	}
	if message, err := websock.NewPreparedMessage(op, msg); err == nil {
		message.Broadcast(s.members.all(), nil)
	}
}
