package connect

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A display shows the events of a session.
type display interface {
	refused(err error)
	opened(c *websock.Conn, protocol string)
	message(op websock.Opcode, msg []byte) error
	pong(payload []byte, roundTrip time.Duration)
	closed(err error)
	reconnecting(delay time.Duration)
}

// A textDisplay writes messages to standard output and everything else to standard error. It writes
// each event in one call, so that the prompt of a terminal doesn't get into it.
type textDisplay struct {
	console.Streams
	prefix   string // of a message
	escape   bool   // messages go to a terminal, which they must not control
	announce bool   // tell when the connection is open
	format   Format
	clock    clock

	wantsHTTP2 bool // tell if the server wants otherwise
}

func (d *textDisplay) refused(err error) {
	var b bytes.Buffer
	defer func() { d.Err.Write(b.Bytes()) }()
	fmt.Fprintf(&b, "%s\n", console.Printable([]byte(err.Error())))
	var refusal *websock.HandshakeError
	if !errors.As(err, &refusal) || refusal.Status == 0 {
		return
	}
	fmt.Fprintln(&b, "HTTP", refusal.Status, http.StatusText(refusal.Status))
	for _, name := range []string{"Location", "Www-Authenticate", "Retry-After", "Sec-Websocket-Version", "Server", "Content-Type"} {
		for _, value := range refusal.Header[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, console.Printable([]byte(value)))
		}
	}
	if len(refusal.Body) > 0 {
		fmt.Fprintf(&b, "\n%s\n", console.Printable(bytes.TrimSpace(refusal.Body)))
	}
}

func (d *textDisplay) opened(c *websock.Conn, protocol string) {
	d.clock.start()
	if d.wantsHTTP2 && protocol == protocolHTTP1 {
		fmt.Fprintln(d.Err, "HTTP/1.1: the server offers no WebSockets over HTTP/2")
	}
	if !d.announce {
		return
	}
	text := fmt.Sprint("connected to ", c.RemoteAddr())
	if name := c.Subprotocol(); name != "" {
		text += ", subprotocol " + name
	}
	if protocol != protocolHTTP1 {
		text += ", " + protocol
	}
	fmt.Fprintln(d.Err, text)
}

// message writes the message in one call, so that other output can't interrupt it.
func (d *textDisplay) message(op websock.Opcode, msg []byte) error {
	var b bytes.Buffer
	if d.format.Time {
		sinceOpen, sincePrevious := d.clock.lap()
		fmt.Fprintf(&b, "[%.3fs +%.3fs] ", sinceOpen.Seconds(), sincePrevious.Seconds())
	}
	b.WriteString(d.prefix)
	if d.escape {
		b.Write(d.format.forTerminal(op, msg))
	} else {
		b.Write(d.format.forPipe(op, msg))
	}
	b.WriteByte('\n')
	_, err := d.Out.Write(b.Bytes())
	return err
}

func (d *textDisplay) pong(payload []byte, roundTrip time.Duration) {
	fmt.Fprintf(d.Err, "pong %q after %v\n", payload, roundTrip.Round(time.Microsecond))
}

func (d *textDisplay) closed(err error) {
	fmt.Fprintf(d.Err, "%s\n", console.Printable([]byte(console.ErrorText(err))))
}

func (d *textDisplay) reconnecting(delay time.Duration) {
	fmt.Fprintf(d.Err, "dialing again in %v\n", delay.Round(time.Millisecond))
}
