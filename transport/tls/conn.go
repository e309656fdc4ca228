package tls

import (
	"crypto/tls"
	"errors"
	"net"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

var errNotMovable = errors.New("websock: the TLS connection was not made by transport/tls, has not completed its handshake, or was moved before")

// A Conn is a transport.Conn that carries its bytes in TLS records over an inner transport. It is
// also a transport.Pusher and a transport.Queue. Where the inner transport is not a Pusher, Push
// returns transport.ErrUnsupported; where it is not a Queue, every write waits for the peer.
type Conn struct {
	inner transport.Conn
	tls   *tls.Conn
	wire  *wire

	view    []byte         // plaintext not consumed
	viewBuf *buffer.Buffer // memory of the view; nil for early bytes
	readErr error          // what every later read returns
	first   [1]byte        // first byte of a record, read while no buffer is borrowed
}

// New moves conn to inner: from now on conn's records are read from inner and written to inner.
// conn must be a connection that Client or Server returned, or a listener of NewListener accepted,
// and its handshake must be complete. The returned Conn owns both conn and inner; nothing else may
// use them.
//
// early is plaintext that was already read from conn. It is received first, and belongs to the
// Conn.
//
// New returns an error, and changes nothing, if conn does not meet these conditions or was moved
// before.
func New(conn *tls.Conn, inner transport.Conn, early []byte) (*Conn, error) {
	w, ok := wireOf(conn)
	if !ok {
		return nil, errNotMovable
	}
	w.switchTo(inner)
	return &Conn{inner: inner, tls: conn, wire: w, view: early}, nil
}

// NetConn returns the connection underneath conn, from which the caller makes the inner transport
// for New. It returns false if New would return an error for conn.
func NetConn(conn *tls.Conn) (net.Conn, bool) {
	w, ok := wireOf(conn)
	if !ok {
		return nil, false
	}
	return w.conn, true
}

// TLS returns the state of the TLS connection. It is never nil.
func (c *Conn) TLS() *tls.ConnectionState {
	state := c.tls.ConnectionState()
	return &state
}

// LocalAddr returns the inner transport's local address.
func (c *Conn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr returns the inner transport's remote address.
func (c *Conn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

var (
	_ transport.Conn   = (*Conn)(nil)
	_ transport.Pusher = (*Conn)(nil)
	_ transport.Queue  = (*Conn)(nil)
)
