package interop

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
)

// A feature is tested in a conversation with an echoing peer, or in several at once.
type feature struct {
	name    string
	variant variant
	check   func(c *websock.Conn) error
	several func(open func() (*websock.Conn, error)) error
}

// conversation has features that are tested in order on one connection; the last one closes it.
func conversation(v variant) []feature {
	return []feature{
		{name: "text", variant: v, check: func(c *websock.Conn) error { return echoed(c, websock.OpText, []byte("Grüße, 世界 🙂")) }},
		{name: "binary", variant: v, check: func(c *websock.Conn) error { return echoed(c, websock.OpBinary, []byte{0, 1, 0xfe, 0xff}) }},
		{name: "fragmented", variant: v, check: func(c *websock.Conn) error { return fragmented(c, "one, ", "", "zwölf, ", "三") }},
		{name: "ping", variant: v, check: ping},
		{name: "1 MiB", variant: v, check: func(c *websock.Conn) error { return echoed(c, websock.OpText, payload(1<<20)) }},
		{name: "subprotocol", variant: v, check: subprotocol},
		{name: "close with code", variant: v, check: func(c *websock.Conn) error { return c.CloseWith(4001, "that is all") }},
	}
}

// features are the columns of the matrix for connections of their own.
var features = append(conversation(plain),
	feature{name: "compressed", variant: compressed, check: compressedBothWays},
	feature{name: "wss", variant: secure, check: func(c *websock.Conn) error { return echoed(c, websock.OpText, payload(100_000)) }},
)

// errCannot is returned by a check if the peer doesn't have the feature.
var errCannot = errors.New("not offered")

// A remark is returned by a check that has passed, and becomes a note.
type remark string

func (r remark) Error() string { return string(r) }

// errOneWay is returned by a check of compression if only our messages were compressed, which RFC 7692
// allows.
const errOneWay = remark("understands compressed messages, and sends none")

func echoed(c *websock.Conn, op websock.Opcode, p []byte) error {
	sent := make(chan error, 1)
	go func() { sent <- c.SendFrame(op, true, p) }()
	if err := arrives(c, op, p); err != nil {
		return err
	}
	return <-sent
}

func arrives(c *websock.Conn, op websock.Opcode, p []byte) error {
	c.SetRecvDeadline(time.Now().Add(patience))
	got, msg, err := c.RecvMessage(nil)
	if err != nil {
		return err
	}
	if got != op || !bytes.Equal(msg, p) {
		return fmt.Errorf("the echo is %v of %d bytes, not %v of %d", got, len(msg), op, len(p))
	}
	return nil
}

// fragmented sends a text message in parts.
func fragmented(c *websock.Conn, parts ...string) error {
	for i, part := range parts {
		op := websock.OpContinuation
		if i == 0 {
			op = websock.OpText
		}
		if err := c.SendFrame(op, i == len(parts)-1, []byte(part)); err != nil {
			return err
		}
	}
	return arrives(c, websock.OpText, []byte(strings.Join(parts, "")))
}

// ping sends a ping before a message: the pong precedes the echo.
func ping(c *websock.Conn) error {
	if err := c.SendPing([]byte("there?")); err != nil {
		return err
	}
	for range 2 { // counts are updated when the receiver reads again
		if err := echoed(c, websock.OpText, []byte("after a ping")); err != nil {
			return err
		}
	}
	if n := c.Stats().PongsReceived; n != 1 {
		return fmt.Errorf("received %d pongs", n)
	}
	return nil
}

func subprotocol(c *websock.Conn) error {
	switch got := c.Subprotocol(); got {
	case "chat":
		return nil
	case "":
		return errCannot
	default:
		return fmt.Errorf("negotiated %q", got)
	}
}

func compressedBothWays(c *websock.Conn) error {
	if c.Compression().IsOff() {
		return errCannot
	}
	for range 3 {
		if err := echoed(c, websock.OpText, payload(10_000)); err != nil {
			return err
		}
	}
	if err := fragmented(c, "", "one, ", "", "zwölf, ", "三", ""); err != nil {
		return fmt.Errorf("fragmented: %w", err)
	}
	c.RecvTimeout(nil, time.Millisecond) // updates the counts
	s := c.Stats()
	if s.AfterInflate == 0 {
		return errOneWay
	}
	if s.AfterDeflate >= s.BeforeDeflate || s.BeforeInflate >= s.AfterInflate {
		return fmt.Errorf("sent %d bytes as %d, received %d as %d", s.BeforeDeflate, s.AfterDeflate, s.AfterInflate, s.BeforeInflate)
	}
	return nil
}
