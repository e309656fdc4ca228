package engine

import (
	"crypto/tls"
	"net"
	"unique"

	"github.com/seed004e8d11/websock/transport"
)

// A Conn is an open WebSocket connection. Sends may come from any goroutine at
// once. Receives come from one goroutine at a time, or from the transport when
// there is a Handler. Close may come from anywhere, any number of times; every
// Conn must be closed, also after an error, unless a Handler's OnClose was called.
type Conn struct {
	t       transport.Conn
	receive receiveState
	send    sendState
	agreed  unique.Handle[agreement]
}

// NewConn returns a connection over a transport on which the opening handshake
// is done. The Conn owns t from now on.
func NewConn(t transport.Conn, o Options) *Conn {
	terms := settle(&o)
	c := &Conn{t: t, agreed: agree(&o)}
	c.receive.role, c.receive.terms = o.Role, terms
	c.send.message = OpNone
	c.send.refuses = terms.WhenFull == QueueRefuses
	return c
}

// Role returns the side that we play.
func (c *Conn) Role() Role { return c.role() }

func (c *Conn) role() Role { return c.receive.role }

func (c *Conn) limits() *Limits { return &c.receive.terms.Limits }

func (c *Conn) compression() *compression { return c.receive.terms.compression }

// Err returns nil while messages can be sent, and else what a send would return: why the
// connection is over, or ends. A message that failed in the middle, see NextWriter, doesn't end
// it. It may be called from any goroutine.
func (c *Conn) Err() error {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	return c.send.over()
}

// LocalAddr returns our address, as the transport knows it.
func (c *Conn) LocalAddr() net.Addr { return c.t.LocalAddr() }

// RemoteAddr returns the peer's address, as the transport knows it.
func (c *Conn) RemoteAddr() net.Addr { return c.t.RemoteAddr() }

// TLS returns the state of the TLS connection that carries this one: version, cipher suite,
// certificates of the peer, whether a session was resumed. It is nil if there is no TLS, or the
// transport doesn't know it: where TLS ends at a proxy, or below a net.Conn of the user's that
// has no method ConnectionState. Every call makes a new one. It may be called from any
// goroutine, also after Close.
func (c *Conn) TLS() *tls.ConnectionState {
	return c.t.TLS()
}

// SetValue keeps a value of the user's with the connection, in place of the one before. A
// Handler that serves many connections finds there what belongs to this one. It may be called
// from any goroutine, also after Close.
func (c *Conn) SetValue(v any) {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	c.send.need().value = v
}

// Value returns what SetValue was given last, or nil. It may be called from any goroutine.
func (c *Conn) Value() any {
	c.send.mu.Lock()
	defer c.send.mu.Unlock()
	return c.send.peek().value
}
