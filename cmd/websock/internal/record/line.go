package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

const (
	format  = "websock recording"
	version = 1
)

// MaxMessage is the size of the largest message in a recording, in bytes.
const MaxMessage = websock.DefaultMessageSize

// maxTime bounds the times of a recording. It can be added to another time.
const maxTime = 100 * 365 * 24 * time.Hour

// A Header is the beginning of a connection.
type Header struct {
	Start       time.Time
	URL         string
	QueryHidden bool // the values in the URL's query are replaced
	Subprotocol string
}

// An Event is what one side sent, or the end of the connection.
type Event struct {
	Time    time.Duration     // since the connection was open
	From    websock.Role      // who sent it; of a lost connection, whom it was lost to
	Opcode  websock.Opcode    // Lost: the connection ended without a close frame
	Payload []byte            // of a message, ping or pong; never reused
	Code    websock.CloseCode // of a close frame
	Reason  string            // of a close frame; Lost: the error, for people
}

// Lost is the Opcode of an Event that is the end of a connection without a close frame.
const Lost = websock.OpNone

// IsMessage reports whether the event is a message.
func (e *Event) IsMessage() bool { return e.Opcode.StartsMessage() }

// IsEnd reports whether the event is the end of the connection.
func (e *Event) IsEnd() bool { return e.Opcode == websock.OpClose || e.Opcode == Lost }

// eventTypes has the "type" of each kind of event.
var eventTypes = map[string]websock.Opcode{
	"text": websock.OpText, "binary": websock.OpBinary, "ping": websock.OpPing, "pong": websock.OpPong,
	"close": websock.OpClose, lost: Lost,
}

const lost = "lost"

var sides = map[string]websock.Role{"client": websock.Client, "server": websock.Server}

// A headerLine is the first line of a connection.
type headerLine struct {
	Format      string    `json:"format"`
	Version     int       `json:"version"`
	Start       time.Time `json:"start"`
	URL         string    `json:"url"`
	QueryHidden bool      `json:"query_hidden,omitempty"`
	Subprotocol string    `json:"subprotocol,omitempty"`
}

// An eventLine is any other line.
type eventLine struct {
	Time   *seconds          `json:"time"`
	From   string            `json:"from"`
	Type   string            `json:"type"`
	Text   *string           `json:"text,omitempty"`
	Binary *[]byte           `json:"binary,omitempty"`
	Code   websock.CloseCode `json:"code,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

// seconds is a time that JSON has in seconds, with microseconds.
type seconds time.Duration

// MarshalJSON writes the time with microseconds.
func (s seconds) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, time.Duration(s).Seconds(), 'f', 6, 64), nil
}

// UnmarshalJSON reads any number that is a time of a recording.
func (s *seconds) UnmarshalJSON(text []byte) error {
	var value float64
	if err := json.Unmarshal(text, &value); err != nil {
		return err
	}
	if value < 0 || value > maxTime.Seconds() {
		return fmt.Errorf("the time %s is no number of seconds since the start", text)
	}
	*s = seconds(math.Round(value * float64(time.Second)))
	return nil
}

// newEventLine returns the line of an event.
func newEventLine(e *Event) eventLine {
	at := seconds(e.Time)
	line := eventLine{Time: &at, From: e.From.String(), Type: e.Opcode.String()}
	switch e.Opcode {
	case Lost:
		line.Type, line.Reason = lost, e.Reason
	case websock.OpClose:
		if line.Reason = e.Reason; e.Code != websock.CloseNoStatus {
			line.Code = e.Code
		}
	case websock.OpText:
		text := string(e.Payload)
		line.Text = &text
	default:
		binary := append([]byte{}, e.Payload...) // a nil slice would be null
		line.Binary = &binary
	}
	return line
}

// event returns the event of a line.
func (l *eventLine) event() (Event, error) {
	side, known := sides[l.From]
	if !known {
		return Event{}, fmt.Errorf(`"from" is client or server, not %q`, l.From)
	}
	opcode, known := eventTypes[l.Type]
	if !known {
		return Event{}, fmt.Errorf("there is no type %q", l.Type)
	}
	if l.Time == nil {
		return Event{}, errors.New("it has no time")
	}
	e := Event{Time: time.Duration(*l.Time), From: side, Opcode: opcode}
	switch opcode {
	case Lost:
		e.Reason = l.Reason
		return e, nil
	case websock.OpClose:
		e.Code, e.Reason = l.Code, l.Reason
		if e.Code == 0 {
			e.Code = websock.CloseNoStatus
		}
		return e, engine.CheckClose(e.Code, e.Reason)
	}
	return e, l.content(&e)
}

const maxControl = 125 // bytes, see RFC 6455 section 5.5

// content reads the payload of a message, ping or pong.
func (l *eventLine) content(e *Event) error {
	switch {
	case (l.Text == nil) == (l.Binary == nil):
		return fmt.Errorf(`%s has either a "text" or a "binary"`, l.Type)
	case l.Text != nil:
		e.Payload = []byte(*l.Text)
	default:
		e.Payload = *l.Binary
	}
	switch {
	case len(e.Payload) > MaxMessage:
		return errTooLarge
	case e.Opcode.IsControl() && len(e.Payload) > maxControl:
		return websock.ErrControlTooLong
	case e.Opcode == websock.OpText && !utf8.Valid(e.Payload):
		return websock.ErrInvalidUTF8
	}
	return nil
}

var errTooLarge = fmt.Errorf("a message of more than %d bytes", MaxMessage)
