//go:build linux

package server

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// countPath is the path that a client requests, on a separate connection, for the number of messages that
// the server has echoed. It is how messages of a client are counted that can't do it itself.
const countPath = "/count"

func countResponse(echoed int64) []byte {
	body := strconv.FormatInt(echoed, 10)
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Count returns the number of messages that the server has echoed, on all its connections of the kind of
// this one: with or without TLS.
func (t *Trigger) Count() (int64, error) {
	if _, err := fmt.Fprintf(t.conn, "GET %s HTTP/1.1\r\n\r\n", countPath); err != nil {
		return 0, err
	}
	response, err := http.ReadResponse(t.answer, nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(body), 10, 64)
}
