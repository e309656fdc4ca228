package handshake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

const (
	// bodySize is how much of a refusal's body an error carries.
	bodySize = 1 << 10

	// bodyWait is how long that much of the body is waited for.
	bodyWait = 500 * time.Millisecond
)

// An answer is what the server or a proxy said to the request.
type answer struct {
	Proto      string // such as HTTP/1.1
	StatusCode int
	Header     http.Header
}

var errStatusLine = errors.New("malformed status line")

// receiveAnswer reads the answer to a request, and drops the interim ones before it (RFC 9110
// section 15.2). what names it in an error.
func receiveAnswer(m *message, conn io.Reader, what string) (*answer, *HandshakeError) {
	for {
		if err := m.read(conn); err != nil {
			return nil, unreadable(what, err)
		}
		a, err := parseAnswer(m.head())
		if err != nil {
			return nil, &HandshakeError{Reason: what + " is not proper HTTP", Err: err}
		}
		if !a.interim() {
			return a, nil
		}
		m.skip()
	}
}

// parseAnswer takes apart the head of an answer. It goes without http.ReadResponse, which
// demands that headers about a body make sense even where they have no meaning: in a 101, and
// in the 2xx to a CONNECT (RFC 9112 section 6.3).
func parseAnswer(head []byte) (*answer, error) {
	// The reader has to hold the head at once.
	r := textproto.NewReader(bufio.NewReaderSize(bytes.NewReader(head), len(head)))
	line, err := r.ReadLine()
	if err != nil {
		return nil, err
	}
	a := &answer{}
	if a.Proto, a.StatusCode, err = parseStatusLine(line); err != nil {
		return nil, err
	}
	header, err := r.ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	a.Header = http.Header(header)
	return a, checkNames(a.Header)
}

// parseStatusLine is as strict as net/http: "HTTP/1.1 101 reason".
func parseStatusLine(line string) (proto string, status int, err error) {
	proto, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	_, _, ok := http.ParseHTTPVersion(proto)
	status, err = strconv.Atoi(code)
	if !ok || err != nil || len(code) != 3 || status < 100 {
		return "", 0, errStatusLine
	}
	return proto, status, nil
}

// interim reports whether another answer follows this one (RFC 9110 section 15.2).
func (a *answer) interim() bool {
	return a.StatusCode/100 == 1 && a.StatusCode != http.StatusSwitchingProtocols
}

// check demands what gobwas/ws doesn't (RFC 6455 section 4.1).
func (a *answer) check() *HandshakeError {
	switch {
	case isRedirect(a.StatusCode):
		return refuse("the server redirects to %.200q", a.Header.Get("Location"))
	case a.StatusCode != http.StatusSwitchingProtocols:
		return refuse("the server declines")
	case !hasToken(a.Header, headerUpgrade, "websocket"):
		return refuse("%s", reasonOf(ws.ErrHandshakeBadUpgrade))
	case !hasToken(a.Header, headerConnection, "upgrade"):
		return refuse("%s", reasonOf(ws.ErrHandshakeBadConnection))
	}
	for _, name := range []string{headerUpgrade, headerAccept} {
		if len(a.Header[name]) > 1 {
			return refuse("header %s stands more than once in the answer", name)
		}
	}
	if len(a.subprotocols()) > 1 {
		return refuse("header %s stands more than once in the answer", headerProtocol)
	}
	return nil
}

// subprotocols returns the values of Sec-WebSocket-Protocol. An empty one names nothing.
func (a *answer) subprotocols() []string {
	return slices.DeleteFunc(slices.Clone(a.Header[headerProtocol]), func(value string) bool { return value == "" })
}

// canonical returns what gobwas/ws is to judge: the headers that decide, as
// net/textproto has read them. Connection, which has been checked, comes without the
// other tokens that it may have.
func (a *answer) canonical() io.Reader {
	h := http.Header{headerConnection: {"Upgrade"}}
	for _, name := range []string{headerUpgrade, headerAccept} {
		if values := a.Header[name]; values != nil {
			h[name] = values
		}
	}
	if values := a.subprotocols(); len(values) > 0 {
		h[headerProtocol] = values
	}
	text := new(bytes.Buffer)
	fmt.Fprintf(text, "%s %d Status\r\n", a.Proto, a.StatusCode)
	h.Write(text)
	text.WriteString("\r\n")
	return text
}

// reasonOf says in words of ours what gobwas/ws found wrong with an answer.
func reasonOf(err error) string {
	switch err {
	case ws.ErrHandshakeBadProtocol:
		return "the answer is not HTTP/1.1"
	case ws.ErrHandshakeBadUpgrade:
		return "the answer's Upgrade is missing or not websocket"
	case ws.ErrHandshakeBadConnection:
		return "the answer's Connection is missing or doesn't have Upgrade"
	case ws.ErrHandshakeBadSecAccept:
		return "the answer's Sec-WebSocket-Accept is missing or doesn't fit the key"
	case ws.ErrHandshakeBadSubProtocol:
		return "the answer has a subprotocol that was not asked for"
	}
	return "the answer is refused: " + err.Error()
}

// bodyStart returns the start of the body, as much as comes in a short time. The body begins
// in m and goes on in conn; one whose length can't be told is none.
func (a *answer) bodyStart(ctx context.Context, m *message, conn net.Conn) []byte {
	ctx, cancel := context.WithTimeout(ctx, bodyWait)
	defer cancel()
	defer interrupt(ctx, conn)()
	all := io.MultiReader(bytes.NewReader(m.received), conn)
	response, err := http.ReadResponse(bufio.NewReaderSize(all, m.headSize), &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil
	}
	start, _ := io.ReadAll(io.LimitReader(response.Body, bodySize)) // what came before an error counts
	return start
}
