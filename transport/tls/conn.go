package tls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

var errNotOurs = errors.New("websock: the TLS connection was made elsewhere, is not open yet, or was moved before")

// A Conn is an engine.Transport that secures another one. It is also an engine.Pusher,
// Pauser, Drainer and Lingerer.
type Conn struct {
	carrier carrier
	tls     *tls.Conn
	wire    *wire

	view    []byte         // plaintext not consumed
	staging *buffer.Buffer // memory of the view; nil for early bytes
	err     error          // what every further read returns
	first   [1]byte        // of a record, while there is no view
}

// New moves conn, made by Client or Server or accepted by NewListener's listener, to inner: from now
// on its records come from there and go there. Nothing else may use conn, then or later.
// inner has to be an engine.Pusher, Pauser and Lingerer whose Read takes from the view if
// there is one. The Conn owns both conn and inner.
//
// early is plaintext that was read from conn before. It is received first, and belongs to
// the Conn.
//
// An error says that conn was made elsewhere, that its handshake is not complete, or that
// inner can't do what it has to; nothing has changed then.
func New(conn *tls.Conn, inner engine.Transport, early []byte) (*Conn, error) {
	w, ok := wireOf(conn)
	if !ok {
		return nil, errNotOurs
	}
	c, ok := inner.(carrier)
	if !ok {
		return nil, fmt.Errorf("websock: a %T can't carry TLS", inner)
	}
	w.switchTo(c)
	return &Conn{carrier: c, tls: conn, wire: w, view: early}, nil
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
	engine.Transport
	engine.SecureTransport
	engine.Pusher
	engine.Pauser
	engine.Drainer
	engine.ContextDrainer
	engine.Lingerer
} = (*Conn)(nil)
