package handshake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
	"golang.org/x/net/http2/hpack"
)

// Fields returns r as the header list of a request of HTTP/2: an extended CONNECT (RFC 8441
// sections 4 and 5), for a resource of https if secure is set, and otherwise of http. The error is
// that of Check, or a *HandshakeError that names a header of HTTP/1.1 that HTTP/2 forbids.
//
// No key is sent: :protocol takes its place. Fields that HPACK must not put into its table are
// marked as sensitive (RFC 7541 section 7.1.3): credentials, and a path with a query, since programs
// pass tokens there because browsers can't set a header. A query also mostly differs from stream to
// stream, and would only drive useful fields out of the table.
func (r *Request) Fields(secure bool) ([]hpack.HeaderField, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if err := checkStreamHeader(r.Header); err != nil {
		return nil, err
	}
	scheme, target := "http", r.Target
	if secure {
		scheme = "https"
	}
	if target == "" {
		target = "/"
	}
	fields := make([]hpack.HeaderField, 0, 8+len(r.Header))
	fields = append(fields,
		hpack.HeaderField{Name: ":method", Value: http.MethodConnect},
		hpack.HeaderField{Name: pseudoProtocol, Value: protocolWebSocket},
		hpack.HeaderField{Name: ":scheme", Value: scheme},
		hpack.HeaderField{Name: ":authority", Value: r.Host},
		hpack.HeaderField{Name: ":path", Value: target, Sensitive: strings.Contains(target, "?")},
		hpack.HeaderField{Name: "sec-websocket-version", Value: "13"},
	)
	if len(r.Subprotocols) > 0 {
		fields = append(fields, hpack.HeaderField{Name: "sec-websocket-protocol", Value: strings.Join(r.Subprotocols, ", ")})
	}
	if offer := offerHeader(r.Compression); offer != "" {
		fields = append(fields, hpack.HeaderField{Name: "sec-websocket-extensions", Value: offer})
	}
	return appendHeader(fields, r.Header), nil
}

// appendHeader appends a header in alphabetical order. Its names become lower-case, and white space
// around a value is dropped (RFC 9113 section 8.2.1).
func appendHeader(fields []hpack.HeaderField, h http.Header) []hpack.HeaderField {
	first := len(fields)
	for name, values := range h {
		lower, sensitive := strings.ToLower(name), isCredential(name)
		for _, value := range values {
			fields = append(fields, hpack.HeaderField{Name: lower, Value: strings.Trim(value, " \t"), Sensitive: sensitive})
		}
	}
	slices.SortStableFunc(fields[first:], func(a, b hpack.HeaderField) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// A ResponseHead is the head of a final response of HTTP/2, as it was received.
type ResponseHead struct {
	Fields    []hpack.HeaderField // the pseudo-header field first
	EndStream bool                // nothing follows
	Truncated bool                // the list was too large, and Fields is its beginning
}

// A ResponseBody is the stream of a response whose head was received.
type ResponseBody interface {
	io.ReadCloser
	SetReadDeadline(t time.Time) error
}

// CheckResponse checks the response to Fields by the rules of RFC 8441 section 5, and returns what
// both sides have agreed on. Each status of 2xx agrees. Sec-WebSocket-Accept is not looked at: there
// was no key, but some proxies send one. The Result has no Early bytes: frames follow in the stream.
//
// The error is a *HandshakeError like that of Client, also for a redirect. It has the Status and the
// Header of the response, unless that is not proper HTTP/2 or its list is larger than MaxSize, each
// field counted with 32 bytes more than it has (RFC 9113 section 6.5.2). If the status is not 2xx, it
// has the start of the body: as much as arrives in half a second, and before ctx ends. For that
// CheckResponse sets the read deadline of body. If body doesn't support deadlines, it is closed when
// that time is over. Otherwise body is left to the caller, who closes it after an error.
func (r *Request) CheckResponse(ctx context.Context, head ResponseHead, body ResponseBody) (*Result, error) {
	if err := r.checkSize(head); err != nil {
		return nil, unreadable("the response", err)
	}
	response, lines, err := parseFields(head.Fields)
	if err != nil {
		return nil, &HandshakeError{Reason: "the response is not proper HTTP/2", Err: err}
	}
	result := &Result{RawHeader: lines}
	if failed := r.checkConnected(response, head.EndStream, result); failed != nil {
		failed.Status, failed.Header = response.status, response.header
		if response.status/100 != 2 && !head.EndStream {
			failed.Body = startOf(ctx, body, readDeadline{body})
		}
		return nil, failed
	}
	return result, nil
}

// NoResponse returns the error of a handshake over a stream that has ended, for the reason err,
// before a response came, or whose ctx has ended.
func NoResponse(ctx context.Context, err error) *HandshakeError {
	return unreadable("the response", withCtxErr(ctx, err))
}

// readDeadline makes a ResponseBody interruptible.
type readDeadline struct{ ResponseBody }

func (d readDeadline) SetDeadline(t time.Time) error { return d.SetReadDeadline(t) }

// checkSize checks the size of a header list. Without a limit for r, one of the session's was exceeded
// by a list that is truncated: DefaultMaxSize, unless the session was made with another one.
func (r *Request) checkSize(head ResponseHead) error {
	size, maxSize := 0, sizeLimit(r.MaxSize)
	for _, f := range head.Fields {
		size += int(f.Size())
	}
	switch {
	case head.Truncated && r.MaxSize < 0:
		return tooLarge(DefaultMaxSize)
	case head.Truncated || size > maxSize:
		return tooLarge(maxSize)
	}
	return nil
}

// checkConnected checks a response by the rules of RFC 8441 section 5, and completes the result.
func (r *Request) checkConnected(response *response, ended bool, result *Result) *HandshakeError {
	forbidden := forbiddenHeader(response.header)
	switch {
	case response.status/100 != 2:
		return response.declined()
	case forbidden != "":
		return failure("the response has the header %s, which HTTP/2 forbids", forbidden)
	case ended:
		return failure("the server agrees, but ends the stream")
	}
	a, failed := response.negotiated(r)
	result.Subprotocol, result.Compression = a.subprotocol, a.compression
	return failed
}

var errStatus = errors.New("no :status of a final response")

// parseFields parses the header list of a final response (RFC 9113 sections 8.2.1 and 8.3.2), and
// returns it also as lines "Name: value\r\n", for Result.RawHeader.
func parseFields(fields []hpack.HeaderField) (r *response, lines []byte, err error) {
	if len(fields) == 0 || fields[0].Name != ":status" {
		return nil, nil, errStatus
	}
	status, ok := parseStatus(fields[0].Value)
	if !ok || status < 200 {
		return nil, nil, errStatus
	}
	fields = fields[1:]
	size := 0
	for _, f := range fields {
		if !validName(f.Name) {
			return nil, nil, fmt.Errorf("field name %.100q", f.Name)
		}
		if !validValue(f.Value) {
			return nil, nil, fmt.Errorf("value of field %.100s", f.Name)
		}
		size += len(f.Name) + len(": ") + len(f.Value) + len("\r\n")
	}
	header, values := make(http.Header, len(fields)), make([]string, len(fields)) // values of all headers
	lines = make([]byte, 0, size)
	for i, f := range fields {
		name := http.CanonicalHeaderKey(f.Name)
		lines = append(append(append(append(lines, name...), ": "...), f.Value...), "\r\n"...)
		values[i] = f.Value
		if header[name] == nil {
			header[name] = values[i : i+1 : i+1]
		} else {
			header[name] = append(header[name], f.Value)
		}
	}
	return &response{proto: "HTTP/2.0", status: status, header: header}, lines, nil
}

// validName reports whether a name is a token without capital letters. That of a pseudo-header field
// is none.
func validName(name string) bool {
	return httpguts.ValidHeaderFieldName(name) && !strings.ContainsFunc(name, func(c rune) bool { return c >= 'A' && c <= 'Z' })
}

// validValue reports whether a value has neither control characters nor white space around it.
func validValue(value string) bool {
	return httpguts.ValidHeaderFieldValue(value) && value == strings.Trim(value, " \t")
}
