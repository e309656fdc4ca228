package h3

import (
	"net"

	"github.com/quic-go/quic-go"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// StreamOf returns the net.Conn that a conn carries.
func StreamOf(c transport.Conn) net.Conn { return c.(*conn).stream }

// Carry returns the conn of a stream.
func Carry(st net.Conn, early []byte) (transport.Conn, bool) {
	s, ok := st.(*stream)
	if !ok {
		return nil, false
	}
	return &conn{std.New(s, early), s}, true
}

// Reset resets both directions of a stream.
func Reset(st net.Conn, code quic.StreamErrorCode) {
	s := st.(*stream)
	s.ends.CancelWrite(code)
	s.ends.CancelRead(code)
}

// Ping has a session ask the server for a sign of life.
func Ping(s transport.StreamSession) error { return s.(*session).control.TryWriteAll(ping) }
