package conformance

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed004e8d11/websock"
)

// An application echoes every message. There is one for each way to receive messages.
type application struct {
	name     string
	timeouts bool // any receiving call may time out first
	long     bool // also runs with streams longer than short

	// pull receives until the connection ends and returns the error. It is nil if handler is set.
	pull func(c *websock.Conn) error

	// handler returns a Handler that calls closed with the error of OnClose.
	handler func(closed func(error)) websock.Handler
}

var applications = []application{
	{name: "Recv with a byte", pull: recv(1)},
	{name: "Recv with a byte and timeouts", pull: recv(1), timeouts: true},
	{name: "Recv with 5 KB", pull: recv(5000), long: true},
	{name: "RecvMessage", pull: recvMessage, long: true},
	{name: "RecvMessage with timeouts", pull: recvMessage, timeouts: true},
	{name: "NextReader", pull: nextReader, long: true},
	{name: "NextReader with timeouts", pull: nextReader, timeouts: true},
	{name: "Handler", handler: func(closed func(error)) websock.Handler { return &echoer{closed: closed} }},
	{name: "Messages", handler: messages, long: true},
}

// run runs the application on c, a connection over m, and returns the error that ended it.
func (a application) run(c *websock.Conn, m *memory) (ended error) {
	if a.pull != nil {
		return a.pull(c)
	}
	times := 0
	err := c.SetHandler(a.handler(func(err error) { ended, times = err, times+1 }))
	m.push()
	if times != 1 {
		return fmt.Errorf("%w; OnClose was called %d times", err, times)
	}
	return ended
}

func recv(size int) func(c *websock.Conn) error {
	return func(c *websock.Conn) error {
		buf := make([]byte, size)
		var msg message
		for {
			h, n, err := c.Recv(buf)
			msg.add(h, buf[:n])
			switch {
			case errors.Is(err, websock.ErrTimeout):
			case err != nil:
				return err
			case h.Opcode != websock.OpNone && h.Fin && h.Remaining == 0:
				if err := msg.echo(c); err != nil {
					return err
				}
			}
		}
	}
}

func recvMessage(c *websock.Conn) error {
	var msg []byte
	for {
		op, m, err := c.RecvMessage(msg)
		msg = m
		switch {
		case errors.Is(err, websock.ErrTimeout):
		case err != nil:
			return err
		default:
			if err := c.SendFrame(op, true, msg); err != nil {
				return err
			}
			msg = msg[:0]
		}
	}
}

func nextReader(c *websock.Conn) error {
	for {
		op, r, err := c.NextReader()
		if errors.Is(err, websock.ErrTimeout) {
			continue
		}
		if err != nil {
			return err
		}
		var msg []byte
		for {
			more, err := io.ReadAll(r)
			msg = append(msg, more...)
			if err == nil {
				break
			}
			if !errors.Is(err, websock.ErrTimeout) {
				return err
			}
		}
		if err := c.SendFrame(op, true, msg); err != nil {
			return err
		}
	}
}

// messages ignores errors of sending: the peer misses what wasn't sent.
func messages(closed func(error)) websock.Handler {
	return websock.Messages(
		func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) },
		func(_ *websock.Conn, err error) { closed(err) },
	)
}

// A message collects the payload of its frames.
type message struct {
	op      websock.Opcode
	payload []byte
}

func (m *message) add(h websock.Header, payload []byte) {
	if h.Opcode == websock.OpText || h.Opcode == websock.OpBinary {
		m.op = h.Opcode
	}
	m.payload = append(m.payload, payload...)
}

func (m *message) echo(c *websock.Conn) error {
	defer func() { m.payload = m.payload[:0] }()
	return c.SendFrame(m.op, true, m.payload)
}

// An echoer is a Handler that receives payload in parts.
type echoer struct {
	message
	closed func(error)
}

func (e *echoer) OnData(c *websock.Conn, h websock.Header, payload []byte) {
	e.add(h, payload)
	if h.Fin && h.Remaining == 0 {
		e.echo(c)
	}
}

func (e *echoer) OnClose(_ *websock.Conn, err error) { e.closed(err) }
