//go:build linux

package server

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
)

// broadcastPath is the path that a client requests, on a separate connection, to make the server send
// one message to every open connection.
const broadcastPath = "/broadcast"

var broadcastDone = []byte("HTTP/1.1 204 No Content\r\n\r\n")

func broadcastFrame(size int) []byte {
	const binaryFin = 0x82
	return append(appendHeader(nil, binaryFin, size), make([]byte, size)...)
}

// A Trigger makes a server broadcast.
type Trigger struct {
	conn   net.Conn
	answer *bufio.Reader
}

// NewTrigger returns a Trigger that uses a connection to a server, with TLS for the secure one.
func NewTrigger(conn net.Conn) *Trigger { return &Trigger{conn, bufio.NewReader(conn)} }

// Pull makes the server broadcast, and returns when the message was sent to all connections.
func (t *Trigger) Pull() error {
	if _, err := fmt.Fprintf(t.conn, "GET %s HTTP/1.1\r\nHost: server\r\n\r\n", broadcastPath); err != nil {
		return err
	}
	response, err := http.ReadResponse(t.answer, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Close closes the connection.
func (t *Trigger) Close() error { return t.conn.Close() }
