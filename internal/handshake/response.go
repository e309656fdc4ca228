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

// agreement returns what a response agrees to, or why it can't be accepted (RFC 6455 section 4.1).
func (r *response) agreement(request *Request, k *key) (a agreement, failed *HandshakeError) {
	accept := k.accept()
	switch {
	case r.status != http.StatusSwitchingProtocols:
		return a, r.declined()
	case !isHTTP11(r.proto):
		return a, failure("the response is not HTTP/1.1")
	case len(r.header[headerUpgrade]) > 1:
		return a, repeated(headerUpgrade)
	// The one is exact to the letter, where Unicode folds others to those of ASCII, and the other allows no list.
	case !hasToken(r.header, headerUpgrade, "websocket"), !strings.EqualFold(r.header.Get(headerUpgrade), "websocket"):
		return a, failure("the response's Upgrade is missing or not websocket")
	case !hasToken(r.header, headerConnection, "upgrade"):
		return a, failure("the response's Connection is missing or doesn't have Upgrade")
	case len(r.header[headerAccept]) > 1:
		return a, repeated(headerAccept)
	case r.header.Get(headerAccept) != string(accept[:]):
		return a, failure("the response's Sec-WebSocket-Accept is missing or doesn't fit the key")
	}
	return r.negotiated(request)
}

// isHTTP11 reports whether a version is HTTP/1.1, or a later one of HTTP/1.
func isHTTP11(proto string) bool {
	major, minor, ok := http.ParseHTTPVersion(proto)
	return ok && major == 1 && minor >= 1
}

// negotiated returns the subprotocol and the compression that a response has chosen from what was
// offered.
func (r *response) negotiated(request *Request) (a agreement, failed *HandshakeError) {
	switch chosen := r.subprotocols(); {
	case len(chosen) > 1:
		return a, repeated(headerProtocol)
	case len(chosen) == 1 && !slices.Contains(request.Subprotocols, chosen[0]):
		return a, failure("the response has a subprotocol that was not offered")
	case len(chosen) == 1:
		a.subprotocol = chosen[0]
	}
	var err error
	if a.compression, err = acceptResponse(request.Compression, r.header[headerExtensions]); err != nil {
		return a, &HandshakeError{Reason: "the response's Sec-WebSocket-Extensions can't be accepted", Err: err}
	}
	return a, nil
}

// repeated returns the error for a header that may be there only once.
func repeated(name string) *HandshakeError {
	return failure("header %s is repeated in the response", name)
}

// declined returns the error for a response that doesn't agree.
func (r *response) declined() *HandshakeError {
	if isRedirect(r.status) {
		return failure("the server redirects to %.200q", r.header.Get("Location"))
	}
	return failure("the server declines")
}

// subprotocols returns the values of Sec-WebSocket-Protocol that are not empty.
func (r *response) subprotocols() []string {
	values := r.header[headerProtocol]
	if !slices.Contains(values, "") {
		return values
	}
	return slices.DeleteFunc(slices.Clone(values), func(value string) bool { return value == "" })
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
