package connect

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A display shows the events of a session.
type display interface {
	refused(err error)
	opened(c *websock.Conn, protocol string)
	message(op websock.Opcode, msg []byte) error
	closed(err error) // nil: closed by us
}

// A textDisplay writes messages to standard output and everything else to standard error.
type textDisplay struct {
	console.Streams
	prefix   string // of a message
	escape   bool   // messages go to a terminal, which they must not control
	announce bool   // tell when the connection is open

	wantsHTTP2 bool // tell if the server wants otherwise
}

func (d *textDisplay) refused(err error) {
	fmt.Fprintln(d.Err, err)
	var refusal *websock.HandshakeError
	if !errors.As(err, &refusal) || refusal.Status == 0 {
		return
	}
	fmt.Fprintln(d.Err, "HTTP", refusal.Status, http.StatusText(refusal.Status))
	for _, name := range []string{"Location", "Www-Authenticate", "Retry-After", "Sec-Websocket-Version", "Server", "Content-Type"} {
		for _, value := range refusal.Header[name] {
			fmt.Fprintf(d.Err, "%s: %s\n", name, console.Printable([]byte(value)))
		}
	}
	if len(refusal.Body) > 0 {
		fmt.Fprintf(d.Err, "\n%s\n", console.Printable(bytes.TrimSpace(refusal.Body)))
	}
}

func (d *textDisplay) opened(c *websock.Conn, protocol string) {
	if d.wantsHTTP2 && protocol == protocolHTTP1 {
		fmt.Fprintln(d.Err, "HTTP/1.1: the server offers no WebSockets over HTTP/2")
	}
	if !d.announce {
		return
	}
	fmt.Fprint(d.Err, "connected to ", c.RemoteAddr())
	if name := c.Subprotocol(); name != "" {
		fmt.Fprint(d.Err, ", subprotocol ", name)
	}
	if protocol != protocolHTTP1 {
		fmt.Fprint(d.Err, ", ", protocol)
	}
	fmt.Fprintln(d.Err)
}

// message writes the message in one call, so that other output can't interrupt it.
func (d *textDisplay) message(op websock.Opcode, msg []byte) error {
	if d.escape {
		msg = forTerminal(op, msg)
	}
	_, err := d.Out.Write(slices.Concat([]byte(d.prefix), msg, []byte("\n")))
	return err
}

// maxDisplayed is how many bytes of a message are shown on a terminal.
const maxDisplayed = 64 << 10

// forTerminal returns the beginning of a message: text escaped, binary data as a hex dump.
func forTerminal(op websock.Opcode, msg []byte) []byte {
	var shown []byte
	part := msg[:min(len(msg), maxDisplayed)]
	if op == websock.OpBinary {
		shown = fmt.Appendf(nil, "binary, %s bytes\n%s", console.Grouped(len(msg)), hex.Dump(part))
		shown = bytes.TrimSuffix(shown, []byte("\n"))
	} else {
		shown = console.Printable(part)
	}
	if more := len(msg) - len(part); more > 0 {
		shown = fmt.Appendf(shown, "\n... and %s bytes more", console.Grouped(more))
	}
	return shown
}

func (d *textDisplay) closed(err error) {
	if err == nil {
		fmt.Fprintln(d.Err, "closed by us:", websock.CloseNormal)
	} else {
		fmt.Fprintf(d.Err, "%s\n", console.Printable([]byte(console.ErrorText(err))))
	}
}

// A jsonDisplay writes one event a line.
type jsonDisplay struct{ *json.Encoder }

func newJSONDisplay(out io.Writer) jsonDisplay {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return jsonDisplay{e}
}

// An event is a line of a jsonDisplay.
type event struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // refused, open, message, closed

	Text   *string `json:"text,omitempty"`   // of a text message
	Binary *[]byte `json:"binary,omitempty"` // of a binary message, in base64

	Remote      string      `json:"remote,omitempty"`      // address
	Protocol    string      `json:"protocol,omitempty"`    // below: HTTP/1.1 or HTTP/2
	Subprotocol string      `json:"subprotocol,omitempty"` // negotiated
	Status      int         `json:"status,omitempty"`      // HTTP status of a refusal
	Header      http.Header `json:"header,omitempty"`      // of the response
	Body        string      `json:"body,omitempty"`        // beginning of the body of a refusal

	Code   websock.CloseCode `json:"code,omitempty"` // 1006: no close frame was received
	Reason string            `json:"reason,omitempty"`
	Local  bool              `json:"local,omitempty"` // closed by us
	Error  string            `json:"error,omitempty"`
}

func (d jsonDisplay) write(e event) error {
	e.Time = time.Now()
	return d.Encode(e)
}

func (d jsonDisplay) refused(err error) {
	e := event{Event: "refused", Error: console.ErrorText(err)}
	var refusal *websock.HandshakeError
	if errors.As(err, &refusal) {
		e.Status, e.Header, e.Body = refusal.Status, refusal.Header, string(refusal.Body)
	}
	d.write(e)
}

func (d jsonDisplay) opened(c *websock.Conn, protocol string) {
	d.write(event{Event: "open", Remote: c.RemoteAddr().String(), Protocol: protocol, Subprotocol: c.Subprotocol(), Header: c.HandshakeHeader()})
}

func (d jsonDisplay) message(op websock.Opcode, msg []byte) error {
	if op == websock.OpBinary {
		binary := append([]byte{}, msg...) // a nil slice would be null
		return d.write(event{Event: "message", Binary: &binary})
	}
	text := string(msg)
	return d.write(event{Event: "message", Text: &text})
}

func (d jsonDisplay) closed(err error) {
	e := event{Event: "closed", Code: websock.CloseNormal, Local: true}
	if err != nil {
		e = event{Event: "closed", Code: websock.CloseAbnormal, Error: console.ErrorText(err)}
	}
	var closed *websock.CloseError
	if errors.As(err, &closed) {
		e.Code, e.Reason, e.Local = closed.Code, closed.Reason, closed.Local
	}
	d.write(e)
}
