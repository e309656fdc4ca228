package memory

import (
	"context"
	"net"

	"github.com/gorilla/websocket"
)

// A gorillaLink receives whole messages, as most programs do. gorilla/websocket doesn't validate text.
type gorillaLink struct {
	conn *websocket.Conn
	op   int
}

func dialGorilla(n *Network, w Work) (Client, error) {
	d := websocket.Dialer{
		ReadBufferSize:  peerBuffer,
		WriteBufferSize: peerBuffer,

		EnableCompression: !w.Compression.IsOff(),
		NetDialContext:    func(context.Context, string, string) (net.Conn, error) { return w.conn(n), nil },
	}
	conn, _, err := d.Dial(address, nil)
	if err != nil {
		return nil, err
	}
	return &pulled{link: &gorillaLink{conn, int(w.Op)}, work: w}, nil
}

func (l *gorillaLink) receive() ([]byte, error) {
	_, msg, err := l.conn.ReadMessage()
	return msg, err
}

func (l *gorillaLink) send(p []byte) error { return l.conn.WriteMessage(l.op, p) }
