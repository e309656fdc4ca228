//go:build linux

package client

import (
	"context"

	"golang.org/x/net/websocket"
)

// An xnetLink receives with a Codec, because only that preserves message boundaries.
type xnetLink struct {
	conn *websocket.Conn
	buf  []byte
}

func dialXnet(ctx context.Context, w *Work) (link, error) {
	config, err := websocket.NewConfig(w.URL, "http://localhost/")
	if err != nil {
		return nil, err
	}
	config.TlsConfig = w.TLS
	conn, err := config.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	conn.PayloadType = websocket.BinaryFrame
	return &xnetLink{conn: conn}, nil
}

func (l *xnetLink) Send(p []byte) error {
	_, err := l.conn.Write(p)
	return err
}

func (l *xnetLink) Receive() (int, error) {
	err := websocket.Message.Receive(l.conn, &l.buf)
	return len(l.buf), err
}
