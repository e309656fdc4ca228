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
	"os"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/http/httpguts"
)

const (
	// bodySize is how much of a refusal's body an error carries.
	bodySize = 1 << 10

	// bodyWait is how long that body is waited for.
	bodyWait = 500 * time.Millisecond

	readSize = 2 << 10
)

var emptyLine = []byte("\r\n\r\n")

// An exchange is the client's side of a handshake under way. gobwas/ws writes the
// request to it and reads the answer from it, of which it has seen to it that it
// is whole, within bounds and proper.
type exchange struct {
	conn    net.Conn
	maxSize int

	received []byte         // the answer and what came after it
	headSize int            // of the answer up to and with the empty line; 0: not complete
	answer   *http.Response // parsed; nil: none came
	err      error          // why there is nothing to read
	checked  *bytes.Reader  // the answer for gobwas/ws to read
}

func (e *exchange) Write(p []byte) (int, error) { return e.conn.Write(p) }

// Read reads from the checked answer.
func (e *exchange) Read(p []byte) (int, error) {
	if e.checked == nil && e.err == nil {
		e.err = e.receive()
	}
	if e.err != nil {
		return 0, e.err
	}
	return e.checked.Read(p)
}

func (e *exchange) receive() error {
	if err := e.readHead(); err != nil {
		return err
	}
	answer, err := http.ReadResponse(bufio.NewReader(e.reader()), &http.Request{Method: http.MethodGet})
	if err != nil {
		return fmt.Errorf("the answer is not proper HTTP: %w", err)
	}
	e.answer = answer
	if err := checkAnswer(answer); err != nil {
		return err
	}
	e.checked = bytes.NewReader(e.canonical())
	return nil
}

// readHead reads until the empty line is there.
func (e *exchange) readHead() error {
	for {
		from := max(0, len(e.received)-len(emptyLine)+1)
		if len(e.received) >= e.maxSize {
			return &engine.LimitError{Limit: "HandshakeSize", Max: int64(e.maxSize), Code: engine.ClosePolicyViolation}
		}
		part := make([]byte, min(readSize, e.maxSize-len(e.received)))
		n, err := e.conn.Read(part)
		e.received = append(e.received, part[:n]...)
		if !mayBeHTTP(e.received) {
			return errNotHTTP
		}
		if i := bytes.Index(e.received[from:], emptyLine); i >= 0 {
			e.headSize = from + i + len(emptyLine)
			return nil
		}
		if err == io.EOF {
			return errEarlyEnd
		}
		if err != nil {
			return err
		}
	}
}

var (
	errNotHTTP  = errors.New("the answer is not HTTP")
	errEarlyEnd = fmt.Errorf("the connection ended before the answer did: %w", io.ErrUnexpectedEOF)
)

func mayBeHTTP(start []byte) bool {
	const version = "HTTP/"
	n := min(len(start), len(version))
	return string(start[:n]) == version[:n]
}

// reader returns the answer and what follows it.
func (e *exchange) reader() io.Reader {
	return io.MultiReader(bytes.NewReader(e.received), e.conn)
}

// early returns what came after the answer, in memory of its own.
func (e *exchange) early() []byte {
	if e.headSize == len(e.received) {
		return nil
	}
	return bytes.Clone(e.received[e.headSize:])
}

// headerLines returns the lines between the status line and the empty one.
func (e *exchange) headerLines() []byte {
	_, lines, _ := bytes.Cut(e.received[:e.headSize], []byte("\r\n"))
	return bytes.TrimSuffix(lines, []byte("\r\n"))
}

// checkAnswer demands what gobwas/ws doesn't: each decisive header once, and no
// extension, since none is offered (RFC 6455 section 4.1).
func checkAnswer(answer *http.Response) error {
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return nil
	}
	for _, name := range []string{"Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Protocol"} {
		if len(answer.Header[name]) > 1 {
			return fmt.Errorf("header %s stands more than once in the answer", name)
		}
	}
	if x := answer.Header["Sec-Websocket-Extensions"]; len(x) > 0 {
		return fmt.Errorf("the answer has extensions that were not asked for: %s", strings.Join(x, ", "))
	}
	return nil
}

// canonical returns the answer's head as gobwas/ws wants it: with "Upgrade" as the
// only token of Connection. The RFC allows others beside it.
func (e *exchange) canonical() []byte {
	head := e.received[:e.headSize]
	if !httpguts.HeaderValuesContainsToken(e.answer.Header["Connection"], "upgrade") {
		return head
	}
	var lines []byte
	for line := range bytes.Lines(head) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if !strings.EqualFold(string(name), "Connection") {
			lines = append(lines, line...)
		}
	}
	return append(bytes.TrimSuffix(lines, []byte("\r\n")), "Connection: Upgrade\r\n\r\n"...)
}

// failure makes an error of what gobwas/ws returned.
func (e *exchange) failure(ctx context.Context, err error) error {
	failed := &engine.HandshakeError{Reason: "the answer is refused", Err: err}
	if e.err != nil {
		failed.Err = e.err
	}
	if ended := endOf(ctx, failed.Err); ended != nil {
		failed.Err = fmt.Errorf("%w: %w", ended, failed.Err)
	}
	switch {
	case e.answer != nil && e.answer.StatusCode != http.StatusSwitchingProtocols:
		failed.Reason = "the server declined with " + e.answer.Status
		failed.Err = nil
		failed.Body = e.body()
	case e.answer == nil:
		failed.Reason = "no answer to the request"
	}
	if e.answer != nil {
		failed.Status, failed.Header = e.answer.StatusCode, e.answer.Header
	}
	return failed
}

// endOf returns how the context has ended, if that caused err. The deadline that the
// connection has from the context may pass a moment earlier.
func endOf(ctx context.Context, err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// body returns the start of the answer's body, as much as comes in a short time.
func (e *exchange) body() []byte {
	e.conn.SetReadDeadline(time.Now().Add(bodyWait)) // without it, the handshake's deadline holds
	b, _ := io.ReadAll(io.LimitReader(e.answer.Body, bodySize))
	return b
}
