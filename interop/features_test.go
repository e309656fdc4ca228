package interop

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/seed004e8d11/websock"
)

// A feature is tested in a conversation with an echoing peer.
type feature struct {
	name    string
	variant variant
	check   func(c *websock.Conn) error
}

// features are the columns of the matrix, tested in order on each connection; the last one closes it.
var features = []feature{
	{"text", plain, func(c *websock.Conn) error { return echoed(c, websock.OpText, []byte("Grüße, 世界 🙂")) }},
	{"binary", plain, func(c *websock.Conn) error { return echoed(c, websock.OpBinary, []byte{0, 1, 0xfe, 0xff}) }},
	{"fragmented", plain, fragmented},
	{"ping", plain, ping},
	{"1 MiB", plain, func(c *websock.Conn) error { return echoed(c, websock.OpText, payload(1<<20)) }},
	{"subprotocol", plain, subprotocol},
	{"close with code", plain, func(c *websock.Conn) error { return c.CloseWith(4001, "that is all") }},
	{"compressed", compressed, compressedBothWays},
	{"wss", secure, func(c *websock.Conn) error { return echoed(c, websock.OpText, payload(100_000)) }},
}

// errCannot is returned by a check if the peer doesn't have the feature.
var errCannot = errors.New("not offered")

// errOneWay is returned by a check of compression if only our messages were compressed, which RFC 7692
// allows.
var errOneWay = errors.New("understands compressed messages, and sends none")

func echoed(c *websock.Conn, op websock.Opcode, p []byte) error {
	sent := make(chan error, 1)
	go func() { sent <- c.SendFrame(op, true, p) }()
	if err := arrives(c, op, p); err != nil {
		return err
	}
	return <-sent
}

func arrives(c *websock.Conn, op websock.Opcode, p []byte) error {
	c.SetRecvDeadline(time.Now().Add(30 * time.Second))
	got, msg, err := c.RecvMessage(nil)
	if err != nil {
		return err
	}
	if got != op || !bytes.Equal(msg, p) {
		return fmt.Errorf("the echo is %v of %d bytes, not %v of %d", got, len(msg), op, len(p))
	}
	return nil
}

func fragmented(c *websock.Conn) error {
	for i, part := range []string{"one, ", "", "zwölf, ", "三"} {
		op := websock.OpContinuation
		if i == 0 {
			op = websock.OpText
		}
		if err := c.SendFrame(op, i == 3, []byte(part)); err != nil {
			return err
		}
	}
	return arrives(c, websock.OpText, []byte("one, zwölf, 三"))
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
