package engine

import (
	"errors"
	"io"
	"net"
	"time"
)

// NetConn returns the connection as a stream of bytes, for protocols that bring
// their own framing (MQTT, SSH, RFB). Every Write of anything sends one message of op; Read
// takes the payload of data messages of either kind, one after another, whatever
// their borders. The peer's close frame with CloseNormal or CloseGoingAway reads
// as io.EOF. Deadlines are those of the Conn: one for reading loses nothing, one
// for writing is fatal. One goroutine may read while another writes. op is OpText
// or OpBinary, else every Write returns ErrFrameOrder.
func (c *Conn) NetConn(op Opcode) net.Conn { return &stream{c: c, op: op} }

type stream struct {
	c  *Conn
	op Opcode
}

func (s *stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		_, n, err := s.c.Recv(p)
		if n > 0 || err != nil {
			return n, endOfFile(err)
		}
	}
}

// endOfFile turns a regular end of the connection into io.EOF.
func endOfFile(err error) error {
	var closed *CloseError
	if errors.As(err, &closed) && !closed.Local &&
		(closed.Code == CloseNormal || closed.Code == CloseGoingAway) {
		return io.EOF
	}
	return err
}

func (s *stream) Write(p []byte) (int, error) {
	if !s.op.startsMessage() {
		return 0, ErrFrameOrder
	}
	if len(p) == 0 {
		return 0, s.c.Err()
	}
	if err := s.c.SendFrame(s.op, true, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (s *stream) SetDeadline(t time.Time) error {
	return errors.Join(s.c.SetRecvDeadline(t), s.c.SetSendDeadline(t))
}

func (s *stream) Close() error                       { return s.c.Close() }
func (s *stream) LocalAddr() net.Addr                { return s.c.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr               { return s.c.RemoteAddr() }
func (s *stream) SetReadDeadline(t time.Time) error  { return s.c.SetRecvDeadline(t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.c.SetSendDeadline(t) }
