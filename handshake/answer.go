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
	"time"

	"github.com/gobwas/ws"
	"github.com/seed004e8d11/websock/engine"
)

const (
	// bodySize is how much of a refusal's body an error carries.
	bodySize = 1 << 10

	// bodyWait is how long that much of the body is waited for.
	bodyWait = 500 * time.Millisecond
)

// An answer is what the server said to the request.
type answer struct{ *http.Response }

var errStatus = errors.New("status below 100")

// parseAnswer takes apart a message whose head is complete. The body, if it has
// one, goes on in conn.
func parseAnswer(m *message, conn io.Reader) (*answer, error) {
	all := io.MultiReader(bytes.NewReader(m.received), conn)
	// The head is what the reader has to hold. Many small interim answers may come.
	response, err := http.ReadResponse(bufio.NewReaderSize(all, m.headSize), &http.Request{Method: http.MethodGet})
	if err != nil {
		return nil, err
	}
	if response.StatusCode < 100 {
		return nil, errStatus
	}
	return &answer{response}, checkNames(response.Header)
}

// interim reports whether another answer follows this one (RFC 9110 section 15.2).
func (a *answer) interim() bool {
	return a.StatusCode/100 == 1 && a.StatusCode != http.StatusSwitchingProtocols
}

// check demands what gobwas/ws doesn't (RFC 6455 section 4.1).
func (a *answer) check() *engine.HandshakeError {
	switch {
	case isRedirect(a.StatusCode):
		return refuse("the server redirects")
	case a.StatusCode != http.StatusSwitchingProtocols:
		return refuse("the server declines")
	case !hasToken(a.Header, headerUpgrade, "websocket"):
		return refuse("%s", reasonOf(ws.ErrHandshakeBadUpgrade))
	case !hasToken(a.Header, headerConnection, "upgrade"):
		return refuse("%s", reasonOf(ws.ErrHandshakeBadConnection))
	}
	for _, name := range []string{headerUpgrade, headerAccept, headerProtocol} {
		if len(a.Header[name]) > 1 {
			return refuse("header %s stands more than once in the answer", name)
		}
	}
	return nil
}

// canonical returns what gobwas/ws is to judge: the headers that decide, as
// net/http has read them. Connection, which has been checked, comes without the
// other tokens that it may have.
func (a *answer) canonical() io.Reader {
	h := http.Header{headerConnection: {"Upgrade"}}
	for _, name := range []string{headerUpgrade, headerAccept, headerProtocol} {
		if values := a.Header[name]; values != nil {
			h[name] = values
		}
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

// bodyStart returns the start of the body, as much as comes in a short time.
func (a *answer) bodyStart(ctx context.Context, conn net.Conn) []byte {
	ctx, cancel := context.WithTimeout(ctx, bodyWait)
	defer cancel()
	defer interrupt(ctx, conn)()
	start, _ := io.ReadAll(io.LimitReader(a.Body, bodySize)) // what came before an error counts
	return start
}
