//go:build linux

package echo

import (
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// gorilla has a goroutine for each connection, apart from the HTTP server's, so that the request can
// be collected. Buffers are slightly larger than the messages, and write buffers are pooled, as the
// package recommends.
func gorilla() http.Handler {
	const buffers = 1024
	upgrader := &websocket.Upgrader{ReadBufferSize: buffers, WriteBufferSize: buffers, WriteBufferPool: &sync.Pool{}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn, err := upgrader.Upgrade(w, r, nil); err == nil {
			go serveGorilla(conn)
		}
	})
}

// serveGorilla reuses its memory, so that messages don't allocate it.
func serveGorilla(conn *websocket.Conn) {
	defer conn.Close()
	buf := make([]byte, 0, 1024)
	for {
		kind, r, err := conn.NextReader()
		if err != nil {
			return
		}
		if buf, err = appendAll(buf[:0], r); err != nil {
			return
		}
		if conn.WriteMessage(kind, buf) != nil {
			return
		}
	}
}

// appendAll appends all that r has.
func appendAll(buf []byte, r io.Reader) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		n, err := r.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}
