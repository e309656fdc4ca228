package handshake

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/pool/pbufio"
	"github.com/gobwas/ws"

	"github.com/seed004e8d11/websock/engine"
)

const (
	// bodySize is how much of a response's body an error carries.
	bodySize = 1 << 10

	// bodyTimeout is how long a client waits for that much of the body.
	bodyTimeout = 500 * time.Millisecond
)

// A response is the head of the HTTP response of a server or a proxy.
type response struct {
	proto  string // such as HTTP/1.1
	status int
	header http.Header
}

var errStatusLine = errors.New("malformed status line")

// receiveResponse reads a response, and discards the interim ones before it (RFC 9110 section
// 15.2). Errors call it what.
func receiveResponse(m *message, conn io.Reader, what string) (*response, *HandshakeError) {
	for {
		if err := m.read(conn); err != nil {
			return nil, unreadable(what, err)
		}
		r, err := parseResponse(m.head())
		if err != nil {
			return nil, &HandshakeError{Reason: what + " is not proper HTTP", Err: err}
		}
		if !r.interim() {
			return r, nil
		}
		m.discardHead()
	}
}

// parseResponse parses the head of a response. It doesn't use http.ReadResponse, which rejects
// malformed headers about a body even where they mean nothing: in a 101 response, and in the 2xx
// response to a CONNECT (RFC 9112 section 6.3).
func parseResponse(head []byte) (*response, error) {
	buffered := headReader(head)
	defer pbufio.PutReader(buffered)
	text := textproto.NewReader(buffered)
	line, err := text.ReadLine()
	if err != nil {
		return nil, err
	}
	r := &response{}
	if r.proto, r.status, err = parseStatusLine(line); err != nil {
		return nil, err
	}
	header, err := text.ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	r.header = http.Header(header)
	return r, checkNames(r.header)
}

// parseStatusLine is as strict as net/http: "HTTP/1.1 101 reason".
func parseStatusLine(line string) (proto string, status int, err error) {
	proto, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	_, _, ok := http.ParseHTTPVersion(proto)
	status, valid := parseStatus(code)
	if !ok || !valid {
		return "", 0, errStatusLine
	}
	return proto, status, nil
}

// parseStatus parses a status of three digits, 100 or more.
func parseStatus(code string) (status int, ok bool) {
	status, err := strconv.Atoi(code)
	return status, err == nil && len(code) == 3 && status >= 100
}

// interim reports whether another response follows this one (RFC 9110 section 15.2).
func (r *response) interim() bool {
	return r.status/100 == 1 && r.status != http.StatusSwitchingProtocols
}

// check makes the checks of RFC 6455 section 4.1 that gobwas/ws doesn't make.
func (r *response) check() *HandshakeError {
	switch {
	case r.status != http.StatusSwitchingProtocols:
		return r.declined()
	case !hasToken(r.header, headerUpgrade, "websocket"):
		return failure("%s", reasonOf(ws.ErrHandshakeBadUpgrade))
	case !hasToken(r.header, headerConnection, "upgrade"):
		return failure("%s", reasonOf(ws.ErrHandshakeBadConnection))
	}
	for _, name := range []string{headerUpgrade, headerAccept} {
		if len(r.header[name]) > 1 {
			return failure("header %s is repeated in the response", name)
		}
	}
	if len(r.subprotocols()) > 1 {
		return failure("header %s is repeated in the response", headerProtocol)
	}
	return nil
}

// declined returns the error for a response that doesn't agree.
func (r *response) declined() *HandshakeError {
	if isRedirect(r.status) {
		return failure("the server redirects to %.200q", r.header.Get("Location"))
	}
	return failure("the server declines")
}

// acceptExtensions returns what the response means for a client that has requested compression.
func (r *response) acceptExtensions(requested engine.Compression) (engine.Compression, *HandshakeError) {
	agreed, err := acceptResponse(requested, r.header[headerExtensions])
	if err != nil {
		return engine.Compression{}, &HandshakeError{Reason: "the response's Sec-WebSocket-Extensions can't be accepted", Err: err}
	}
	return agreed, nil
}

// subprotocols returns the values of Sec-WebSocket-Protocol that are not empty.
func (r *response) subprotocols() []string {
	values := r.header[headerProtocol]
	if !slices.Contains(values, "") {
		return values
	}
	return slices.DeleteFunc(slices.Clone(values), func(value string) bool { return value == "" })
}

// verifiable returns the response that gobwas/ws verifies: with the version, Upgrade,
// Sec-WebSocket-Accept and Sec-WebSocket-Protocol of this one. Connection has been checked; gobwas/ws
// would reject the other tokens that it may have.
func (r *response) verifiable() string {
	var text strings.Builder
	text.Grow(192)
	text.WriteString(r.proto)
	text.WriteString(" 101 Switching Protocols\r\nConnection: Upgrade")
	add := func(name string, values []string) {
		for _, value := range values {
			text.WriteString("\r\n")
			text.WriteString(name)
			text.WriteString(": ")
			text.WriteString(value)
		}
	}
	add(headerUpgrade, r.header[headerUpgrade])
	add(headerAccept, r.header[headerAccept])
	add(headerProtocol, r.subprotocols())
	text.WriteString("\r\n\r\n")
	return text.String()
}

// reasonOf describes an error of gobwas/ws about a response.
func reasonOf(err error) string {
	switch err {
	case ws.ErrHandshakeBadProtocol:
		return "the response is not HTTP/1.1"
	case ws.ErrHandshakeBadUpgrade:
		return "the response's Upgrade is missing or not websocket"
	case ws.ErrHandshakeBadConnection:
		return "the response's Connection is missing or doesn't have Upgrade"
	case ws.ErrHandshakeBadSecAccept:
		return "the response's Sec-WebSocket-Accept is missing or doesn't fit the key"
	case ws.ErrHandshakeBadSubProtocol:
		return "the response has a subprotocol that was not offered"
	}
	return "the response is rejected: " + err.Error()
}

// bodyStart returns the start of the body, which begins in m and continues in conn.
func (r *response) bodyStart(ctx context.Context, m *message, conn net.Conn) []byte {
	return startOf(ctx, r.body(io.MultiReader(bytes.NewReader(m.early()), conn)), conn)
}

// startOf returns the start of a body, as much of it as arrives through conn in bodyTimeout.
func startOf(ctx context.Context, body io.Reader, conn interruptible) []byte {
	ctx, cancel := context.WithTimeout(ctx, bodyTimeout)
	defer cancel()
	defer interrupt(ctx, conn)()
	start, _ := io.ReadAll(io.LimitReader(body, bodySize)) // what came before an error counts
	return start
}

// body returns the body, which is at the start of stream (RFC 9112 section 6.3). A body whose
// length is malformed is taken for an empty one.
func (r *response) body(stream io.Reader) io.Reader {
	encodings, lengths := r.header["Transfer-Encoding"], slices.Compact(slices.Clone(r.header["Content-Length"]))
	switch {
	case r.status/100 == 1 || r.status == http.StatusNoContent || r.status == http.StatusNotModified:
		return http.NoBody
	case len(encodings) == 1 && strings.EqualFold(encodings[0], "chunked"):
		return httputil.NewChunkedReader(stream)
	case len(encodings) == 0 && len(lengths) == 0:
		return stream // up to its end
	case len(encodings) == 0 && len(lengths) == 1:
		if length, err := strconv.ParseUint(lengths[0], 10, 63); err == nil {
			return io.LimitReader(stream, int64(length))
		}
	}
	return http.NoBody
}
