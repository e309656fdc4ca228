//go:build linux

package echo

import (
	"net"
	"net/http"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// listenNbio has an engine that polls for all connections. It handles messages in the polling goroutine,
// releases their memory itself, and sets no deadlines.
func listenNbio() (address string, serve func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = listener.Addr().String()
	if err := listener.Close(); err != nil { // nbio listens itself
		return "", nil, err
	}
	logging.SetLevel(logging.LevelNone)
	var open members[*websocket.Conn]
	upgrader := websocket.NewUpgrader()
	upgrader.KeepaliveTime = 0
	upgrader.OnOpen(func(c *websocket.Conn) { open.join(c) })
	upgrader.OnClose(func(c *websocket.Conn, _ error) { open.leave(c) })
	upgrader.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, msg []byte) {
		if kind != websocket.TextMessage {
			c.WriteMessage(kind, msg) // a failure closes the connection
			return
		}
		for _, to := range open.all() {
			to.WriteMessage(kind, msg)
		}
	})
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp",
		Addrs:   []string{address},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			upgrader.Upgrade(w, r, nil) // on an error it has sent a response
		}),
		ServerExecutor:          func(f func()) { f() },
		ReleaseWebsocketPayload: true,
	})
	return address, func() error { select {} }, engine.Start()
}
