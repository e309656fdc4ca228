//go:build linux

package client

import (
	"context"
	"io"
	"sync"

	"github.com/gorilla/websocket"
)

// gorillaPool has write buffers. These and those for reading are slightly larger than the largest message,
// as the package recommends.
var gorillaPool sync.Pool

type gorillaLink struct {
	conn *websocket.Conn
	buf  []byte
}

func dialGorilla(ctx context.Context, w *Work) (link, error) {
	const least, header = 1024, 64
	buffers := max(least, len(w.Payload)+header)
	d := websocket.Dialer{
		ReadBufferSize:    buffers,
		WriteBufferSize:   buffers,
		WriteBufferPool:   &gorillaPool,
		TLSClientConfig:   w.TLS,
		EnableCompression: w.compresses(), // by default at the fastest level
	}
	conn, _, err := d.DialContext(ctx, w.URL, nil)
	if err != nil {
		return nil, err
	}
	return &gorillaLink{conn, make([]byte, len(w.Payload)+1)}, nil
}

func (l *gorillaLink) Send(p []byte) error { return l.conn.WriteMessage(websocket.BinaryMessage, p) }

func (l *gorillaLink) Receive() (int, error) {
	_, r, err := l.conn.NextReader()
	if err != nil {
		return 0, err
	}
	return readMessage(r, l.buf)
}

// readMessage reads a message that is shorter than buf.
func readMessage(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) {
		more, err := r.Read(buf[n:])
		n += more
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	return n, nil
}
