//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	stdtls "crypto/tls"
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/tls"
)

// Transport returns what websock.Config wants: a maker of transports on netpoll's pollers.
func Transport() Maker { return Maker{} }

// A Maker makes transports of this package. It may be used from any goroutine.
type Maker struct{}

// Attach hands conn's descriptor over to netpoll: conn itself is closed. early are bytes
// that were read from conn; they are received first, and belong to the transport. The error
// is that of the system when it has no descriptor left, or that of netpoll's poller; conn
// is then as it was.
//
// A connection without a descriptor, and TLS that wasn't begun by package transport/tls, is
// left to a goroutine: see package transport/std.
func (m Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	if secured, ok := conn.(*stdtls.Conn); ok {
		return m.attachTLS(secured, early)
	}
	if !hasDescriptor(conn) {
		return std.New(conn, early), nil
	}
	t, err := attach(conn, early)
	if err != nil {
		return nil, err
	}
	return t, nil
}

func (m Maker) attachTLS(secured *stdtls.Conn, early []byte) (engine.Transport, error) {
	below, ok := tls.NetConn(secured)
	if !ok || !hasDescriptor(below) {
		return std.New(secured, early), nil
	}
	t, err := attach(below, nil)
	if err != nil {
		return nil, err
	}
	return tls.New(secured, t, early)
}

func hasDescriptor(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}
