package memory

import (
	"context"
	"net"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// dialWebsock returns a function that opens a connection for use.
func dialWebsock(use func(*websock.Conn, Work) Client) func(*Network, Work) (Client, error) {
	return func(n *Network, w Work) (Client, error) {
		conn, err := websock.Dial(context.Background(), address, &websock.Config{
			Compression: w.Compression,
			NetDial:     func(context.Context, string, string) (net.Conn, error) { return w.conn(n), nil },
			Transport:   nonblocking{},
		})
		if err != nil {
			return nil, err
		}
		return use(conn, w), nil
	}
}

// A nonblocking is a transport.Factory for package std whose connections know that a write never blocks,
// as those over sockets do.
type nonblocking struct{}

func (nonblocking) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return nonblockingConn{std.New(conn, early), conn}, nil
}

type nonblockingConn struct {
	*std.Conn
	conn net.Conn
}

func (t nonblockingConn) TryWrite(p []byte) (transport.PendingWrite, error) {
	_, err := t.conn.Write(p)
	return nil, err
}

// wholeMessages receives with RecvMessage into a slice that grows as needed.
func wholeMessages(conn *websock.Conn, w Work) Client {
	return &pulled{link: &messageLink{sender{conn, w.Op}, nil}, work: w}
}

// A sender sends messages of one kind.
type sender struct {
	conn *websock.Conn
	op   websock.Opcode
}

func (s sender) send(p []byte) error { return s.conn.SendFrame(s.op, true, p) }

type messageLink struct {
	sender
	msg []byte
}

func (l *messageLink) receive() (_ []byte, err error) {
	_, l.msg, err = l.conn.RecvMessage(l.msg[:0])
	return l.msg, err
}

// intoBuffer receives with Recv into a buffer with room for a message.
func intoBuffer(conn *websock.Conn, w Work) Client {
	return &pulled{link: &bufferLink{sender{conn, w.Op}, make([]byte, len(w.Payload)+1)}, work: w}
}

type bufferLink struct {
	sender
	buf []byte
}

func (l *bufferLink) receive() ([]byte, error) {
	for got := 0; ; {
		h, n, err := l.conn.Recv(l.buf[got:])
		if err != nil {
			return nil, err
		}
		got += n
		if h.Fin && h.Remaining == 0 && h.Opcode >= 0 {
			return l.buf[:got], nil
		}
	}
}

// byHandler receives whole messages by callback.
func byHandler(conn *websock.Conn, w Work) Client {
	return &handled{sender: sender{conn, w.Op}, work: w, ended: make(chan error)}
}

type handled struct {
	sender
	work     Work
	received int
	reply    bool
	ended    chan error
}

func (c *handled) Send() error {
	return (&pulled{link: &messageLink{sender: c.sender}, work: c.work}).Send()
}

func (c *handled) Receive() error {
	if err := c.conn.SetHandler(websock.Messages(c.deliver, c.closed)); err != nil {
		return err
	}
	return c.work.result(c.received, <-c.ended)
}

func (c *handled) Reply() error {
	c.reply = true
	return c.Receive()
}

func (c *handled) deliver(_ *websock.Conn, _ websock.Opcode, msg []byte) {
	if c.work.check(msg) != nil {
		return // it is missing in the result
	}
	c.received++
	if c.reply {
		c.send(msg) // a failure ends the connection
	}
}

func (c *handled) closed(_ *websock.Conn, err error) { c.ended <- err }

// dialDecoder uses the Decoder alone: bytes in, views out.
func dialDecoder(n *Network, w Work) (Client, error) {
	l := &decoderLink{net: n.Skip(), dec: engine.NewDecoder(websock.Client, engine.Limits{}), room: make([]byte, boundStaging)}
	return &pulled{link: l, work: w}, nil
}

type decoderLink struct {
	net    *Network
	dec    *engine.Decoder
	room   []byte
	staged []byte
	event  engine.Event
	msg    []byte // that arrived in parts
}

func (l *decoderLink) receive() ([]byte, error) {
	l.msg = l.msg[:0]
	for {
		if len(l.staged) == 0 {
			n, err := l.net.Read(l.room)
			if err != nil {
				return nil, err
			}
			l.staged = l.room[:n]
		}
		n, err := l.dec.Decode(&l.event, l.staged)
		if err != nil {
			return nil, err
		}
		l.staged = l.staged[n:]
		e := &l.event
		if e.Kind != engine.EventData {
			continue
		}
		whole := e.Header.Remaining == 0
		if whole && len(l.msg) == 0 {
			return e.Payload, nil
		}
		l.msg = append(l.msg, e.Payload...)
		if whole {
			return l.msg, nil
		}
	}
}

func (l *decoderLink) send([]byte) error { return ErrCannot }
