package connect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A jsonDisplay writes one event a line.
type jsonDisplay struct {
	*json.Encoder
	timing bool // tell the times since the connection was opened and since the previous message
	clock  clock
}

func newJSONDisplay(out io.Writer, timing bool) *jsonDisplay {
	e := json.NewEncoder(jsonEscaper{out})
	e.SetEscapeHTML(false)
	return &jsonDisplay{Encoder: e, timing: timing}
}

// A jsonEscaper writes JSON with escapes for what could control a terminal: the encoder leaves DEL, the
// control characters after it, and those that change the direction of text.
type jsonEscaper struct{ io.Writer }

func (e jsonEscaper) Write(p []byte) (int, error) {
	if _, err := e.Writer.Write(escapeJSON(p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

func escapeJSON(text []byte) []byte {
	harmless := func(r rune) bool { return r == '\n' || strconv.IsGraphic(r) }
	if bytes.IndexFunc(text, func(r rune) bool { return !harmless(r) }) < 0 {
		return text
	}
	var escaped []byte
	for _, r := range string(text) {
		switch {
		case harmless(r):
			escaped = utf8.AppendRune(escaped, r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
	}
	return escaped
}

// An event is a line of a jsonDisplay.
type event struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // refused, open, message, pong, closed, reconnecting

	Text   *string `json:"text,omitempty"`   // of a text message, or a pong
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

	SinceOpen     *int64 `json:"since_open_us,omitempty"`
	SincePrevious *int64 `json:"since_previous_us,omitempty"` // message, or the opening

	RoundTrip *int64 `json:"round_trip_us,omitempty"` // from a ping to its pong
	Delay     *int64 `json:"delay_ms,omitempty"`      // until the next attempt
}

func (d *jsonDisplay) write(e event) error {
	e.Time = time.Now()
	return d.Encode(e)
}

func (d *jsonDisplay) refused(err error) {
	e := event{Event: "refused", Error: console.ErrorText(err)}
	var refusal *websock.HandshakeError
	if errors.As(err, &refusal) {
		e.Status, e.Header, e.Body = refusal.Status, refusal.Header, string(refusal.Body)
	}
	d.write(e)
}

func (d *jsonDisplay) opened(c *websock.Conn, protocol string) {
	d.clock.start()
	d.write(event{Event: "open", Remote: c.RemoteAddr().String(), Protocol: protocol, Subprotocol: c.Subprotocol(), Header: c.HandshakeHeader()})
}

func (d *jsonDisplay) message(op websock.Opcode, msg []byte) error {
	e := event{Event: "message"}
	if d.timing {
		sinceOpen, sincePrevious := d.clock.lap()
		open, previous := sinceOpen.Microseconds(), sincePrevious.Microseconds()
		e.SinceOpen, e.SincePrevious = &open, &previous
	}
	if op == websock.OpBinary {
		binary := append([]byte{}, msg...) // a nil slice would be null
		e.Binary = &binary
	} else {
		text := string(msg)
		e.Text = &text
	}
	return d.write(e)
}

func (d *jsonDisplay) closed(err error) {
	e := event{Event: "closed", Code: websock.CloseAbnormal, Error: console.ErrorText(err)}
	var closed *websock.CloseError
	if errors.As(err, &closed) {
		e.Code, e.Reason, e.Local = closed.Code, closed.Reason, closed.Local
	}
	if isLocalClose(err) {
		e.Error = ""
	}
	d.write(e)
}

func (d *jsonDisplay) pong(payload []byte, roundTrip time.Duration) {
	text, us := string(payload), roundTrip.Microseconds()
	d.write(event{Event: "pong", Text: &text, RoundTrip: &us})
}

func (d *jsonDisplay) reconnecting(delay time.Duration) {
	ms := delay.Milliseconds()
	d.write(event{Event: "reconnecting", Delay: &ms})
}
