package memory

import (
	"context"
	"net"
	"net/http"

	"github.com/coder/websocket"
)

// A coderLink reads messages into a buffer of its own, as the documentation recommends to avoid
// allocations. coder/websocket doesn't validate text.
type coderLink struct {
	conn *websocket.Conn
	buf  []byte
	kind websocket.MessageType
}

func dialCoder(n *Network, w Work) (Client, error) {
	mode := websocket.CompressionDisabled
	switch {
	case w.Compression.SendTakeover:
		mode = websocket.CompressionContextTakeover
	case !w.Compression.IsOff():
		mode = websocket.CompressionNoContextTakeover
	}
	conn, _, err := websocket.Dial(context.Background(), address, &websocket.DialOptions{
		CompressionMode: mode,
		HTTPClient: &http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return w.conn(n), nil },
		}},
	})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	return &pulled{link: &coderLink{conn, make([]byte, len(w.Payload)+1), websocket.MessageType(w.Op)}, work: w}, nil
}

func (l *coderLink) receive() ([]byte, error) {
	_, r, err := l.conn.Reader(context.Background())
	if err != nil {
		return nil, err
	}
	return readMessage(r, l.buf)
}

func (l *coderLink) send(p []byte) error {
	return l.conn.Write(context.Background(), l.kind, p)
}
