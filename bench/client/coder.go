//go:build linux

package client

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// newCoder uses one http.Client for all connections. Its buffers, which a connection keeps, are as small
// as the messages allow.
func newCoder(w *Work) (Client, error) {
	const buffers = 1024
	modes := map[Compression]websocket.CompressionMode{
		Takeover: websocket.CompressionContextTakeover,
		Fresh:    websocket.CompressionNoContextTakeover,
	} // else it is disabled, which is the default
	options := &websocket.DialOptions{CompressionMode: modes[w.Compression], HTTPClient: &http.Client{Transport: &http.Transport{
		TLSClientConfig: w.TLS,
		ReadBufferSize:  buffers,
		WriteBufferSize: buffers,
	}}}
	return &pulled{Work: w, dial: func(ctx context.Context, w *Work) (link, error) {
		conn, _, err := websocket.Dial(ctx, w.URL, options)
		if err != nil {
			return nil, err
		}
		conn.SetReadLimit(-1) // the default is 32 KiB
		return &coderLink{conn, make([]byte, len(w.Payload)+1)}, nil
	}}, nil
}

type coderLink struct {
	conn *websocket.Conn
	buf  []byte
}

func (l *coderLink) Send(p []byte) error {
	return l.conn.Write(context.Background(), websocket.MessageBinary, p)
}

func (l *coderLink) Receive() (int, error) {
	_, r, err := l.conn.Reader(context.Background())
	if err != nil {
		return 0, err
	}
	return readMessage(r, l.buf)
}
