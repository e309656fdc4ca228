//go:build linux

package server

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
)

// broadcastPath is what a client requests, on a connection that it uses for nothing
// else, to have one message sent to every connection that is open.
const broadcastPath = "/broadcast"

var broadcastDone = []byte("HTTP/1.1 204 No Content\r\n\r\n")

func broadcastFrame(size int) []byte {
	const binaryFin = 0x82
	return append(appendHeader(nil, binaryFin, size), make([]byte, size)...)
}

// A Trigger has a server broadcast.
type Trigger struct {
	conn   net.Conn
	answer *bufio.Reader
}

// NewTrigger takes over a connection to a server, TLS if it is to the secure one.
func NewTrigger(conn net.Conn) *Trigger { return &Trigger{conn, bufio.NewReader(conn)} }

// Pull returns when the message has been sent to everyone.
func (t *Trigger) Pull() error {
	if _, err := fmt.Fprintf(t.conn, "GET %s HTTP/1.1\r\n\r\n", broadcastPath); err != nil {
		return err
	}
	response, err := http.ReadResponse(t.answer, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Close ends the connection.
func (t *Trigger) Close() error { return t.conn.Close() }
