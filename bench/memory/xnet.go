package memory

import (
	"golang.org/x/net/websocket"

	"github.com/seed004e8d11/websock"
)

// An xnetLink receives with a Codec, because only that preserves message boundaries. x/net/websocket
// doesn't validate text.
type xnetLink struct {
	conn *websocket.Conn
	msg  []byte
}

func dialXnet(n *Network, w Work) (Client, error) {
	config, err := websocket.NewConfig(address, "http://localhost/")
	if err != nil {
		return nil, err
	}
	conn, err := websocket.NewClient(config, n)
	if err != nil {
		return nil, err
	}
	conn.PayloadType = websocket.BinaryFrame
	if w.Op == websock.OpText {
		conn.PayloadType = websocket.TextFrame
	}
	conn.MaxPayloadBytes = max(len(w.Payload), 1)
	return &pulled{link: &xnetLink{conn: conn}, work: w}, nil
}

func (l *xnetLink) receive() ([]byte, error) {
	err := websocket.Message.Receive(l.conn, &l.msg)
	return l.msg, err
}

func (l *xnetLink) send(p []byte) error {
	_, err := l.conn.Write(p)
	return err
}
