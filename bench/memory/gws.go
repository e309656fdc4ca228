package memory

import (
	"github.com/lxzan/gws"
)

// A gwsClient receives messages by callback. It validates text.
type gwsClient struct {
	gws.BuiltinEventHandler
	work     Work
	conn     *gws.Conn
	op       gws.Opcode
	received int
	reply    bool
	end      error
}

func dialGws(n *Network, w Work) (Client, error) {
	c := &gwsClient{work: w, op: gws.Opcode(w.Op)}
	option := &gws.ClientOption{
		Addr:               address,
		ReadBufferSize:     peerBuffer,
		CheckUtf8Enabled:   true,
		ReadMaxPayloadSize: max(len(w.Payload), 1),
		PermessageDeflate: gws.PermessageDeflate{
			Enabled:               !w.Compression.IsOff(),
			Level:                 w.Compression.Level,
			ServerContextTakeover: w.Compression.RecvTakeover,
			ClientContextTakeover: w.Compression.SendTakeover,
			ServerMaxWindowBits:   w.Compression.RecvWindowBits,
			ClientMaxWindowBits:   w.Compression.SendWindowBits,
		},
	}
	conn, _, err := gws.NewClientFromConn(c, option, w.conn(n))
	c.conn = conn
	return c, err
}

func (c *gwsClient) Receive() error {
	c.conn.ReadLoop()
	return c.work.result(c.received, c.end)
}

func (c *gwsClient) Reply() error {
	c.reply = true
	return c.Receive()
}

func (c *gwsClient) Send() error {
	for range c.work.Times {
		if err := c.conn.WriteMessage(c.op, c.work.Payload); err != nil {
			return err
		}
	}
	return nil
}

// OnMessage implements gws.Event.
func (c *gwsClient) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	if c.work.check(m.Data.Bytes()) != nil {
		return // it is missing in the result
	}
	c.received++
	if c.reply {
		conn.WriteMessage(c.op, m.Data.Bytes()) // a failure ends the connection
	}
}

// OnClose implements gws.Event.
func (c *gwsClient) OnClose(_ *gws.Conn, err error) { c.end = err }
