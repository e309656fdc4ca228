package engine

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"net/textproto"
	"sync/atomic"
)

// A Conn is an open WebSocket connection. Sends may come from any goroutine at
// once. Receives come from one goroutine at a time, or from the transport when
// there is a Handler. Close may come from anywhere, any number of times; every
// Conn must be closed, also after an error.
type Conn struct {
	t      Transport
	limits *Limits
	role   Role

	receive receiveState
	send    sendState

	readDeadline atomic.Int64 // set by SetRecvDeadline, in Unix nanoseconds; 0: none

	subprotocol string
	rawHeader   []byte
}

var defaultLimits = Limits{}.WithDefaults()

// NewConn returns a connection over a transport on which the opening handshake
// is done. The Conn owns t from now on.
func NewConn(t Transport, o Options) *Conn {
	limits := &defaultLimits
	if o.Limits != (Limits{}) {
		own := o.Limits.WithDefaults()
		limits = &own
	}
	c := &Conn{
		t:           t,
		limits:      limits,
		role:        o.Role,
		subprotocol: o.Subprotocol,
		rawHeader:   o.RawHeader,
	}
	c.receive.dec = Decoder{role: o.Role, limits: limits}
	c.send.message = OpNone
	return c
}

// Subprotocol returns the subprotocol agreed in the opening handshake, or "" (RFC
// 6455 section 1.9).
func (c *Conn) Subprotocol() string { return c.subprotocol }

// HandshakeHeader returns the header of the peer's opening handshake: the
// server's answer in the client role, the client's request in the server role.
// Every call makes a new one, since a connection keeps only its text.
func (c *Conn) HandshakeHeader() http.Header {
	text := bytes.NewReader(append(c.rawHeader[:len(c.rawHeader):len(c.rawHeader)], "\r\n"...))
	header, err := textproto.NewReader(bufio.NewReader(text)).ReadMIMEHeader()
	if err != nil {
		return http.Header{}
	}
	return http.Header(header)
}

// Role returns the side that we play.
func (c *Conn) Role() Role { return c.role }

// LocalAddr returns our address, as the transport knows it.
func (c *Conn) LocalAddr() net.Addr { return c.t.LocalAddr() }

// RemoteAddr returns the peer's address, as the transport knows it.
func (c *Conn) RemoteAddr() net.Addr { return c.t.RemoteAddr() }
