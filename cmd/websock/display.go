package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A display shows what happens on a connection.
type display interface {
	refused(err error)
	opened(c *engine.Conn)
	message(op engine.Opcode, msg []byte) error
	closed(err error) // nil: by us
}

// A textDisplay shows it to people and to programs that read lines: messages on standard
// output, all else on standard error.
type textDisplay struct {
	stdio
	mark   string // before a message
	safe   bool   // messages are shown on a terminal, which they are not to command
	greets bool
}

// refused tells why there is no connection.
func (d *textDisplay) refused(err error) {
	fmt.Fprintln(d.err, err)
	var refusal *websock.HandshakeError
	if !errors.As(err, &refusal) || refusal.Status == 0 {
		return
	}
	fmt.Fprintln(d.err, "HTTP", refusal.Status, http.StatusText(refusal.Status))
	for _, name := range []string{"Location", "Www-Authenticate", "Retry-After", "Sec-Websocket-Version", "Server", "Content-Type"} {
		for _, value := range refusal.Header[name] {
			fmt.Fprintf(d.err, "%s: %s\n", name, printable([]byte(value)))
		}
	}
	if len(refusal.Body) > 0 {
		fmt.Fprintf(d.err, "\n%s\n", printable(bytes.TrimSpace(refusal.Body)))
	}
}

// opened tells somebody who looks that there is a connection.
func (d *textDisplay) opened(c *engine.Conn) {
	if !d.greets {
		return
	}
	fmt.Fprint(d.err, "connected to ", c.RemoteAddr())
	if name := c.Subprotocol(); name != "" {
		fmt.Fprint(d.err, ", subprotocol ", name)
	}
	fmt.Fprintln(d.err)
}

// maxDisplayed is how many bytes of a message are shown on a terminal.
const maxDisplayed = 64 << 10

// message writes in one call, so that nothing comes between.
func (d *textDisplay) message(op engine.Opcode, msg []byte) error {
	if d.safe {
		msg = forTerminal(op, msg)
	}
	_, err := d.out.Write(slices.Concat([]byte(d.mark), msg, []byte("\n")))
	return err
}

// forTerminal returns what is shown of a message to somebody at a terminal.
func forTerminal(op engine.Opcode, msg []byte) []byte {
	var shown []byte
	part := msg[:min(len(msg), maxDisplayed)]
	if op == engine.OpBinary {
		shown = fmt.Appendf(nil, "binary, %s bytes\n%s", grouped(len(msg)), hex.Dump(part))
		shown = bytes.TrimSuffix(shown, []byte("\n"))
	} else {
		shown = printable(part)
	}
	if more := len(msg) - len(part); more > 0 {
		shown = fmt.Appendf(shown, "\n... and %s bytes more", grouped(more))
	}
	return shown
}

func (d *textDisplay) closed(err error) {
	if err == nil {
		fmt.Fprintln(d.err, "closed by us:", engine.CloseNormal)
	} else {
		fmt.Fprintf(d.err, "%s\n", printable([]byte(strings.TrimPrefix(err.Error(), "websock: "))))
	}
}
