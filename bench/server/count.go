//go:build linux

package server

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// countPath is the path that a client requests, on a separate connection, for the Count. It is how messages
// of a client are counted that can't do it itself.
const countPath = "/count"

// A Count is what a server has echoed.
type Count struct {
	Messages int64
	Bytes    int64 // of payloads, as they were sent
}

func (c *Count) add(more Count) {
	c.Messages += more.Messages
	c.Bytes += more.Bytes
}

func (c Count) response() []byte {
	body, err := json.Marshal(c)
	if err != nil {
		panic(err) // two numbers
	}
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Count returns what the server has echoed on all its connections of the kind of this one: with or without
// TLS.
func (t *Trigger) Count() (c Count, err error) {
	if _, err := fmt.Fprintf(t.conn, "GET %s HTTP/1.1\r\n\r\n", countPath); err != nil {
		return c, err
	}
	response, err := http.ReadResponse(t.answer, nil)
	if err != nil {
		return c, err
	}
	defer response.Body.Close()
	return c, json.NewDecoder(response.Body).Decode(&c)
}
