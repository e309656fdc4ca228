//go:build linux

package client

import (
	"compress/flate"
	"context"
	"sync"

	"github.com/lxzan/gws"
)

// gwsClient has a goroutine for each connection, which calls the handler. By default UTF-8 isn't checked
// and messages aren't handled in parallel.
type gwsClient struct {
	*Work
	gws.BuiltinEventHandler
	mu    sync.Mutex
	conns []*gws.Conn
}

func newGws(w *Work) (Client, error) { return &gwsClient{Work: w}, nil }

func (c *gwsClient) Dial(context.Context) error {
	const buffer = 1024
	option := &gws.ClientOption{Addr: c.URL, ReadBufferSize: buffer}
	if c.compresses() {
		takeover := c.Compression == Takeover
		option.PermessageDeflate = gws.PermessageDeflate{
			Enabled:               true,
			Level:                 flate.BestSpeed,
			ServerContextTakeover: takeover,
			ClientContextTakeover: takeover,
			ServerMaxWindowBits:   15,
			ClientMaxWindowBits:   15,
		}
	}
	if c.secure() {
		option.TlsConfig = c.TLS.Clone() // gws changes it
	}
	conn, _, err := gws.NewClient(c, option)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conns = append(c.conns, conn)
	return nil
}

func (c *gwsClient) Start() {
	for _, conn := range c.conns {
		go conn.ReadLoop()
		for range c.Window {
			if err := conn.WriteMessage(gws.OpcodeBinary, c.next()); err != nil {
				c.Meter.Fail(err)
			}
		}
	}
}

// OnMessage implements gws.Event.
func (c *gwsClient) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	if c.received(m.Data.Len()) {
		conn.WriteMessage(gws.OpcodeBinary, c.next()) // a failure shows in OnClose
	}
}

// OnClose implements gws.Event.
func (c *gwsClient) OnClose(_ *gws.Conn, err error) { c.Meter.Fail(err) }
