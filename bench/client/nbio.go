//go:build linux

package client

import (
	"context"
	"sync"
	"time"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// nbioClient has one engine for all connections. It handles messages in the polling goroutine, releases
// their memory itself, and sets no deadlines.
type nbioClient struct {
	*Work
	dialer websocket.Dialer
	mu     sync.Mutex
	conns  []*websocket.Conn
}

func newNbio(w *Work) (Client, error) {
	logging.SetLevel(logging.LevelNone)
	inline := func(f func()) { f() }
	engine := nbhttp.NewEngine(nbhttp.Config{
		ServerExecutor:          inline,
		ReleaseWebsocketPayload: true,
	})
	if err := engine.Start(); err != nil {
		return nil, err
	}
	c := &nbioClient{Work: w}
	options := websocket.NewOptions()
	options.Engine = engine
	options.KeepaliveTime = 0
	options.OnMessage(func(conn *websocket.Conn, _ websocket.MessageType, msg []byte) {
		if c.received(len(msg)) {
			c.send(conn)
		}
	})
	options.OnClose(func(_ *websocket.Conn, err error) { c.Meter.Fail(err) })
	c.dialer = websocket.Dialer{Engine: engine, Options: options}
	if w.secure() { // nbio has its own crypto/tls
		c.dialer.TLSClientConfig = &tls.Config{RootCAs: w.TLS.RootCAs, ServerName: w.TLS.ServerName}
	}
	return c, nil
}

func (c *nbioClient) send(conn *websocket.Conn) {
	if err := conn.WriteMessage(websocket.BinaryMessage, c.Payload); err != nil {
		c.Meter.Fail(err)
	}
}

func (c *nbioClient) Dial(ctx context.Context) error {
	const limit = 10 * time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, _, err := c.dialer.DialContext(ctx, c.URL, nil)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return nil
}

func (c *nbioClient) Start() {
	for _, conn := range c.conns {
		for range c.Window {
			c.send(conn)
		}
	}
}
