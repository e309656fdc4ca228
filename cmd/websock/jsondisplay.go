package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A jsonDisplay writes an event a line.
type jsonDisplay struct{ *json.Encoder }

func newJSONDisplay(out io.Writer) jsonDisplay {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	return jsonDisplay{e}
}

// An event is what a jsonDisplay writes.
type event struct {
	Time  time.Time `json:"time"`
	Event string    `json:"event"` // refused, open, message, closed

	Text   *string `json:"text,omitempty"`   // of a text message
	Binary *[]byte `json:"binary,omitempty"` // of a binary message, in base64

	Remote      string      `json:"remote,omitempty"`      // address
	Subprotocol string      `json:"subprotocol,omitempty"` // agreed on
	Status      int         `json:"status,omitempty"`      // HTTP, of a refusal
	Header      http.Header `json:"header,omitempty"`      // of the answer
	Body        string      `json:"body,omitempty"`        // of a refusal, the beginning

	Code   engine.CloseCode `json:"code,omitempty"` // 1006: there was no close frame
	Reason string           `json:"reason,omitempty"`
	Local  bool             `json:"local,omitempty"` // closed by us
	Error  string           `json:"error,omitempty"` // what went wrong
}

func (d jsonDisplay) write(e event) error {
	e.Time = time.Now()
	return d.Encode(e)
}

func (d jsonDisplay) refused(err error) {
	e := event{Event: "refused", Error: errorText(err)}
	var refusal *websock.HandshakeError
	if errors.As(err, &refusal) {
		e.Status, e.Header, e.Body = refusal.Status, refusal.Header, string(refusal.Body)
	}
	d.write(e)
}

func (d jsonDisplay) opened(c *engine.Conn) {
	d.write(event{Event: "open", Remote: c.RemoteAddr().String(), Subprotocol: c.Subprotocol(), Header: c.HandshakeHeader()})
}

func (d jsonDisplay) message(op engine.Opcode, msg []byte) error {
	if op == engine.OpBinary {
		binary := append([]byte{}, msg...) // a nil slice would be null
		return d.write(event{Event: "message", Binary: &binary})
	}
	text := string(msg)
	return d.write(event{Event: "message", Text: &text})
}

func (d jsonDisplay) closed(err error) {
	e := event{Event: "closed", Code: engine.CloseNormal, Local: true}
	if err != nil {
		e = event{Event: "closed", Code: engine.CloseAbnormal, Error: errorText(err)}
	}
	var closed *engine.CloseError
	if errors.As(err, &closed) {
		e.Code, e.Reason, e.Local = closed.Code, closed.Reason, closed.Local
	}
	d.write(e)
}

func errorText(err error) string { return strings.TrimPrefix(err.Error(), "websock: ") }
