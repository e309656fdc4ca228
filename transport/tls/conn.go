package tls

import (
	"crypto/tls"
	"errors"
	"net"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

var errNotOurs = errors.New("websock: the TLS connection was made elsewhere, is not open yet, or was moved before")

// A Conn is a transport.Conn that secures another one. It is also a transport.Pusher and
// transport.Queue.
type Conn struct {
	carrier transport.Conn
	tls     *tls.Conn
	wire    *wire

	view    []byte         // plaintext not consumed
	staging *buffer.Buffer // memory of the view; nil for early bytes
	err     error          // what every further read returns
	first   [1]byte        // of a record, while there is no view
}

// New moves conn, made by Client or Server or accepted by NewListener's listener, to inner: from now
// on its records come from there and go there. Nothing else may use conn, then or later.
// The Conn owns both conn and inner.
//
// early is plaintext that was read from conn before. It is received first, and belongs to
// the Conn.
//
// An error says that conn was made elsewhere or that its handshake is not complete; nothing has
// changed then.
func New(conn *tls.Conn, inner transport.Conn, early []byte) (*Conn, error) {
	w, ok := wireOf(conn)
	if !ok {
		return nil, errNotOurs
	}
	w.switchTo(inner)
	return &Conn{carrier: inner, tls: conn, wire: w, view: early}, nil
}

// NetConn returns the connection under conn, for whoever wants its descriptor to make a
// transport for New. It returns false for a conn that New would refuse.
func NetConn(conn *tls.Conn) (net.Conn, bool) {
	w, ok := wireOf(conn)
	if !ok {
		return nil, false
	}
	return w.conn, true
}

// TLS returns the state of the TLS connection.
func (c *Conn) TLS() *tls.ConnectionState {
	state := c.tls.ConnectionState()
	return &state
}

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Conn)(nil)
