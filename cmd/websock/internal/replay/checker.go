package replay

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/cmd/websock/internal/record"
)

// A checker compares messages with those of a recording, which it reads as they come.
type checker struct {
	*Options
	out    io.Writer // gets the differences
	who    string    // is printed before each
	number int       // of the connection in the recording
	side   websock.Role
	rounds int // that are left, with the current one; 0: no end

	in          *record.Conn // nil: before or after a round
	inRound     int          // messages that were expected in this round
	over        bool         // no more are expected
	messages    int
	differences int
	err         error // of the file
}

// next returns the next message that is expected, or false if there is none.
func (c *checker) next() (record.Event, bool) {
	for !c.over {
		if c.in == nil {
			if c.in, c.err = c.File.Conn(c.number); c.err != nil {
				break
			}
			c.inRound = 0
		}
		e, err := c.in.Next()
		switch {
		case err == nil && e.From == c.side && e.IsMessage():
			c.inRound++
			return e, true
		case err == nil:
			continue
		case !errors.Is(err, io.EOF):
			c.err = err
		}
		c.close()
		c.rounds--
		c.over = c.err != nil || c.rounds == 0 || c.inRound == 0
	}
	c.over = true
	return record.Event{}, false
}

func (c *checker) close() {
	if c.in != nil {
		c.in.Close()
		c.in = nil
	}
}

// message compares a message that was received.
func (c *checker) message(op websock.Opcode, msg []byte) {
	c.messages++
	want, ok := c.next()
	switch {
	case !ok:
		c.differ("is not in the recording: " + describe(op, msg))
	case op != want.Opcode || !bytes.Equal(c.relevant(msg), c.relevant(want.Payload)):
		c.differ(fmt.Sprintf("is %s, recorded is %s", describe(op, msg), describe(want.Opcode, want.Payload)))
	}
}

// relevant returns a message without the parts that are ignored.
func (c *checker) relevant(msg []byte) []byte {
	for _, part := range c.Ignore {
		msg = part.ReplaceAll(msg, nil)
	}
	return msg
}

// differ counts a difference, and prints the first.
func (c *checker) differ(text string) {
	const maxPrinted = 10
	if c.differences++; c.differences <= maxPrinted {
		fmt.Fprintf(c.out, "%smessage %s %s\n", c.who, console.Grouped(c.messages), text)
	}
}

// finish returns the number of differences. Messages that have not come are among them.
func (c *checker) finish() int {
	defer c.close()
	if c.rounds == 0 { // there is always another one
		return c.differences
	}
	for {
		want, ok := c.next()
		if !ok {
			return c.differences
		}
		c.messages++
		c.differ("did not come: " + describe(want.Opcode, want.Payload))
	}
}

// describe returns the beginning of a message in a readable form.
func describe(op websock.Opcode, msg []byte) string {
	const maxShown = 80
	shown := msg[:min(len(msg), maxShown)]
	text := fmt.Sprintf("%v %q", op, shown)
	if op == websock.OpBinary {
		text = fmt.Sprintf("%v % x", op, shown)
	}
	if len(msg) > len(shown) {
		text += fmt.Sprintf("... (%s bytes)", console.Grouped(len(msg)))
	}
	return text
}
