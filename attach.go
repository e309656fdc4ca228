package websock

import (
	stdtls "crypto/tls"
	"errors"
	"net"
	"syscall"

	"github.com/seed004e8d11/websock/internal/handshake"
	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/tls"
)

// Attach makes a transport of conn, as Dial and Accept do, for programs that perform the opening
// handshake themselves and call NewConn. early are bytes that were read from conn and are received
// first; the transport owns them.
//
// If conn is TLS from package transport/tls, f carries the connection below, and TLS is put over
// it, unless f is a transport.TLSFactory. Connections that f doesn't support are carried by
// transport/std, together with their TLS if they have no method CloseWrite. The error is that of f; conn is
// then unchanged.
func Attach(f transport.Factory, conn net.Conn, early []byte) (transport.Conn, error) {
	if secured, ok := conn.(*stdtls.Conn); ok {
		if t, ok := withoutReservation(f).(transport.TLSFactory); ok {
			return attachOrStd(t.AttachTLS, secured, early)
		}
		if below, ok := tls.NetConn(secured); ok {
			inner, err := attachOrStd(f.Attach, below, nil)
			if err != nil {
				return nil, err
			}
			if t, ok := inner.(*std.Conn); ok && t.AwaitsAnswer() {
				return std.New(secured, early), nil // which reads the peer's answer while it lingers
			}
			return tls.New(secured, inner, early)
		}
	}
	return attachOrStd(f.Attach, conn, early)
}

// attachOrStd makes a transport of conn with attach, or with transport/std if attach doesn't support
// conn.
func attachOrStd(attach func(net.Conn, []byte) (transport.Conn, error), conn net.Conn, early []byte) (transport.Conn, error) {
	c, err := attach(conn, early)
	if errors.Is(err, transport.ErrUnsupported) {
		return std.New(conn, early), nil
	}
	return c, err
}

// attachOptions are the parts of a Config or of AcceptOptions that attach needs.
type attachOptions struct {
	transport transport.Reservation
	handler   Handler
	keepAlive *keepalive.Policy
}

// attach makes a Conn of a connection after the opening handshake. On an error it closes conn.
func attach(conn net.Conn, result *handshake.Result, role Role, a attachOptions, o Options) (*Conn, error) {
	carrier, err := Attach(a.transport, conn, result.Early)
	if err != nil {
		conn.Close()
		return nil, refusedByTransport(err)
	}
	return newConn(carrier, result, role, a, o)
}

// refusedByTransport returns the error for one of a transport's Attach.
func refusedByTransport(err error) error {
	return &HandshakeError{Reason: fileLimitOr("transport refuses the connection", err), Err: err}
}

// newConn makes a Conn over carrier after the opening handshake. On an error it closes carrier. It
// doesn't use a.transport.
func newConn(carrier transport.Conn, result *handshake.Result, role Role, a attachOptions, o Options) (*Conn, error) {
	o.Subprotocol = result.Subprotocol
	o.RawHeader = result.RawHeader
	o.Compression = result.Compression
	c := NewConn(carrier, role, o)
	if a.handler != nil {
		if err := c.SetHandler(a.handler); err != nil {
			c.Close()
			return nil, &HandshakeError{Reason: "transport can't serve a handler", Err: err}
		}
	}
	keepAlive(c, a.keepAlive)
	return c, nil
}

// reserve reserves what a transport needs for one connection.
func reserve(f transport.Factory) (transport.Reservation, error) {
	if f == nil {
		f = std.Transport()
	}
	r, ok := f.(transport.Reserver)
	if !ok {
		return unreserved{f}, nil
	}
	reserved, err := r.Reserve()
	if err != nil {
		return nil, &HandshakeError{Reason: fileLimitOr("transport can't take another connection", err), Err: err}
	}
	return reserved, nil
}

// unreserved is the Reservation of a Factory that needs none.
type unreserved struct{ transport.Factory }

func (unreserved) Release() {}

// withoutReservation returns the Factory of a Reservation made by reserve for one that needs none.
func withoutReservation(f transport.Factory) transport.Factory {
	if u, ok := f.(unreserved); ok {
		return u.Factory
	}
	return f
}

// fileLimitOr returns the reason of a failure with the cause err: a limit of open files, or
// otherwise.
func fileLimitOr(otherwise string, err error) string {
	switch {
	case errors.Is(err, syscall.EMFILE):
		return "this process has reached its limit of open files"
	case errors.Is(err, syscall.ENFILE):
		return "this system has reached its limit of open files"
	}
	return otherwise
}
