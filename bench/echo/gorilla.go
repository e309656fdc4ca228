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
// package recommends. A message for all is prepared once.
type gorilla struct {
	upgrader websocket.Upgrader
	members  members[*gorillaConn]
}

// A gorillaConn may be written to by one goroutine at a time.
type gorillaConn struct {
	*websocket.Conn
	writing sync.Mutex
}

func newGorilla() http.Handler {
	const buffers = 1024
	return &gorilla{upgrader: websocket.Upgrader{ReadBufferSize: buffers, WriteBufferSize: buffers, WriteBufferPool: &sync.Pool{}}}
}

func (g *gorilla) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if conn, err := g.upgrader.Upgrade(w, r, nil); err == nil {
		go g.serve(&gorillaConn{Conn: conn})
	}
}

// serve reuses its memory, so that messages don't allocate it.
func (g *gorilla) serve(conn *gorillaConn) {
	g.members.join(conn)
	defer g.members.leave(conn)
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
		if kind == websocket.TextMessage {
			err = g.sendToAll(buf)
		} else {
			conn.writing.Lock()
			err = conn.WriteMessage(kind, buf)
			conn.writing.Unlock()
		}
		if err != nil {
			return
		}
	}
}

func (g *gorilla) sendToAll(text []byte) error {
	message, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	if err != nil {
		return err
	}
	for _, conn := range g.members.all() {
		conn.writing.Lock()
		conn.WritePreparedMessage(message) // a failure ends the connection
		conn.writing.Unlock()
	}
	return nil
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
