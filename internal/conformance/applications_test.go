package conformance

import (
	"errors"
	"fmt"
	"io"

	"github.com/seed004e8d11/websock/engine"
)

// An application sends back every message that it gets, in one of the ways in which
// messages can be got.
type application struct {
	name     string
	timeouts bool // every receive may have to be repeated
	long     bool // it takes part where streams are longer than short

	// pull returns how the connection ended. Nil: it is pushed.
	pull func(c *engine.Conn) error

	// handler is for a connection that is pushed. closed gets how it ended.
	handler func(closed func(error)) engine.Handler
}

var applications = []application{
	{name: "Recv with a byte", pull: recv(1)},
	{name: "Recv with a byte and timeouts", pull: recv(1), timeouts: true},
	{name: "Recv with 5 KB", pull: recv(5000), long: true},
	{name: "RecvMessage", pull: recvMessage, long: true},
	{name: "RecvMessage with timeouts", pull: recvMessage, timeouts: true},
	{name: "NextReader", pull: nextReader, long: true},
	{name: "NextReader with timeouts", pull: nextReader, timeouts: true},
	{name: "Handler", handler: func(closed func(error)) engine.Handler { return &echoer{closed: closed} }},
	{name: "Messages", handler: messages, long: true},
}

// run returns how the connection over m ended.
func (a application) run(c *engine.Conn, m *memory) (ended error) {
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

func recv(size int) func(c *engine.Conn) error {
	return func(c *engine.Conn) error {
		buf := make([]byte, size)
		var msg message
		for {
			h, n, err := c.Recv(buf)
			msg.add(h, buf[:n])
			switch {
			case errors.Is(err, engine.ErrTimeout):
			case err != nil:
				return err
			case h.Opcode != engine.OpNone && h.Fin && h.Remaining == 0:
				if err := msg.echo(c); err != nil {
					return err
				}
			}
		}
	}
}

func recvMessage(c *engine.Conn) error {
	var msg []byte
	for {
		op, m, err := c.RecvMessage(msg)
		msg = m
		switch {
		case errors.Is(err, engine.ErrTimeout):
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

func nextReader(c *engine.Conn) error {
	for {
		op, r, err := c.NextReader()
		if errors.Is(err, engine.ErrTimeout) {
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
			if !errors.Is(err, engine.ErrTimeout) {
				return err
			}
		}
		if err := c.SendFrame(op, true, msg); err != nil {
			return err
		}
	}
}

// A Handler sends, too, without looking at errors: what isn't sent is missed by the peer.
func messages(closed func(error)) engine.Handler {
	return engine.Messages(
		func(c *engine.Conn, op engine.Opcode, msg []byte) { c.SendFrame(op, true, msg) },
		func(_ *engine.Conn, err error) { closed(err) },
	)
}

// A message is one that is put together from what comes.
type message struct {
	op      engine.Opcode
	payload []byte
}

func (m *message) add(h engine.Header, payload []byte) {
	if h.Opcode == engine.OpText || h.Opcode == engine.OpBinary {
		m.op = h.Opcode
	}
	m.payload = append(m.payload, payload...)
}

func (m *message) echo(c *engine.Conn) error {
	defer func() { m.payload = m.payload[:0] }()
	return c.SendFrame(m.op, true, m.payload)
}

// An echoer is a Handler that gets payload as it comes.
type echoer struct {
	message
	closed func(error)
}

func (e *echoer) OnData(c *engine.Conn, h engine.Header, payload []byte) {
	e.add(h, payload)
	if h.Fin && h.Remaining == 0 {
		e.echo(c)
	}
}

func (e *echoer) OnClose(_ *engine.Conn, err error) { e.closed(err) }
