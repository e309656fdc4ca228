package handshake

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// A HandshakeError describes why connecting or the opening handshake failed (RFC 6455 section 4). There
// is no connection.
type HandshakeError struct {
	Reason string      // what was wrong
	Status int         // HTTP status of the response; 0 without one
	Header http.Header // of the response; nil without one
	Body   []byte      // the start of the response's body, at most 1 KiB
	Host   string      // host and port of the server, or the path of its Unix socket; "" in the server role
	Proxy  string      // host and port of the proxy, if it failed there; otherwise ""
	Err    error       // the cause, or nil
}

func (e *HandshakeError) Error() string {
	text := "websock: handshake: "
	if e.Host != "" {
		text = "websock: handshake with " + e.Host + ": "
	}
	if e.Proxy != "" {
		text += "proxy " + e.Proxy + ": "
	}
	text += e.Reason
	if e.Status != 0 {
		text += fmt.Sprintf(" (HTTP status %d)", e.Status)
	}
	if line := firstLine(e.Body); line != "" && line != e.Reason {
		text += fmt.Sprintf(": %q", line)
	}
	if e.Err != nil {
		text += ": " + shorten(strings.TrimPrefix(e.Err.Error(), "websock: "), maxCause)
	}
	return text
}

// The longest texts of a peer that Error returns, in bytes.
const (
	maxLine  = 200     // the first line of a body
	maxCause = 1 << 10 // a cause, which may quote a whole header
)

// firstLine returns the first line of a body that is not empty, or "" if the body isn't text, for
// example because it is compressed.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	line = shorten(strings.TrimSpace(line), maxLine)
	if !utf8.ValidString(line) {
		return ""
	}
	return line
}

// shorten cuts a text after at most n bytes, between characters if it is UTF-8.
func shorten(text string, n int) string {
	if len(text) <= n {
		return text
	}
	end := n
	for end > n-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// Unwrap returns the cause.
func (e *HandshakeError) Unwrap() error { return e.Err }
