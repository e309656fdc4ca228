package connect

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/tidwall/pretty"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// A Format says how messages are shown. On a terminal they are always escaped, binary messages
// always a hex dump, and of a long message the beginning is shown.
type Format struct {
	Time   bool // the time since the opening and since the previous message before each
	Hex    bool // binary messages as a hex dump
	Pretty bool // text that is JSON is indented
	Color  bool // and in color on a terminal
}

// forPipe returns a message for a program.
func (f *Format) forPipe(op websock.Opcode, msg []byte) []byte {
	switch {
	case op == websock.OpBinary && f.Hex:
		return dump(msg, len(msg))
	case op == websock.OpText && f.Pretty:
		msg, _ = indented(msg)
	}
	return msg
}

// maxDisplayed is how many bytes of a message are shown on a terminal.
const maxDisplayed = 64 << 10

// forTerminal returns the beginning of a message so that it can't control a terminal.
func (f *Format) forTerminal(op websock.Opcode, msg []byte) []byte {
	isJSON := false
	if op == websock.OpText && f.Pretty {
		msg, isJSON = indented(msg)
	}
	part := msg[:min(len(msg), maxDisplayed)]
	var shown []byte
	if op == websock.OpBinary {
		shown = dump(part, len(msg))
	} else {
		shown = console.Printable(part)
	}
	if isJSON && f.Color {
		shown = pretty.Color(shown, nil)
	}
	if more := len(msg) - len(part); more > 0 {
		shown = fmt.Appendf(shown, "\n... and %s bytes more", console.Grouped(more))
	}
	return shown
}

// dump returns the size of a binary message and a hex dump of its beginning, without a last newline.
func dump(part []byte, size int) []byte {
	shown := fmt.Appendf(nil, "binary, %s bytes\n%s", console.Grouped(size), hex.Dump(part))
	return bytes.TrimSuffix(shown, []byte("\n"))
}

const indent = "  "

// maxIndented is the largest text that indented makes of a message. A message of deeply nested
// lists could otherwise grow to thousands of times its size.
const maxIndented = 4 * maxLine

// indented returns JSON with its numbers, strings and order as they are, and anything else unchanged.
func indented(text []byte) (result []byte, isJSON bool) {
	var b bytes.Buffer
	if indentedSize(text) > maxIndented || json.Indent(&b, text, "", indent) != nil {
		return text, false
	}
	return b.Bytes(), true
}

// indentedSize returns how large JSON gets at most.
func indentedSize(text []byte) (size int) {
	depth, inString := 0, false
	newline := func() { size += 1 + len(indent)*depth }
	for i := 0; i < len(text); i++ {
		size++
		switch c := text[i]; {
		case inString && c == '\\':
			i++
			size++
		case c == '"':
			inString = !inString
		case inString:
		case c == '[', c == '{':
			depth++
			newline()
		case c == ']', c == '}':
			depth = max(depth-1, 0)
			newline()
		case c == ',':
			newline()
		case c == ':':
			size++ // a space
		}
	}
	return size
}

// A clock measures the times of messages.
type clock struct {
	opened, previous time.Time
}

func (c *clock) start() {
	c.opened = time.Now()
	c.previous = c.opened
}

// lap returns the time since the start and since the last lap or the start.
func (c *clock) lap() (sinceStart, sincePrevious time.Duration) {
	now := time.Now()
	sinceStart, sincePrevious = now.Sub(c.opened), now.Sub(c.previous)
	c.previous = now
	return sinceStart, sincePrevious
}
