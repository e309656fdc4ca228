//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	stdtls "crypto/tls"
	"net"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
	"github.com/seed004e8d11/websock/transport/tls"
)

// Transport returns what websock.Config wants: a maker of transports on netpoll's pollers.
func Transport() Maker { return Maker{} }

// A Maker makes transports of this package. It may be used from any goroutine.
type Maker struct{}

// Attach has one of netpoll's pollers look at conn's descriptor: conn itself is closed. early
// are bytes that were read from conn; they are received first, and belong to the transport.
// The error is that of the system when it has no descriptor left, or doesn't let the poller
// look at another; conn is then as it was.
//
// A connection without a descriptor, and TLS that wasn't begun by package transport/tls, is
// left to a goroutine: see package transport/std. So are all if netpoll is of a version whose
// pollers this package doesn't find.
func (Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	secured, below := takeApart(conn)
	if !hasDescriptor(below) {
		return std.New(conn, early), nil
	}
	poll, err := pick()
	switch {
	case err != nil:
		return nil, err
	case poll == nil:
		return std.New(conn, early), nil
	case secured != nil:
		return attachTLS(poll, secured, below, early)
	}
	t, err := attach(poll, conn, early)
	if err != nil {
		return nil, err // and no interface of a nil *Conn
	}
	return t, nil
}

// takeApart returns TLS of package transport/tls and what is below; any other conn is below
// nothing.
func takeApart(conn net.Conn) (secured *stdtls.Conn, below net.Conn) {
	if secured, ok := conn.(*stdtls.Conn); ok {
		if below, ok := tls.NetConn(secured); ok {
			return secured, below
		}
	}
	return nil, conn
}

func hasDescriptor(conn net.Conn) bool {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

func attachTLS(poll netpoll.Poll, secured *stdtls.Conn, below net.Conn, early []byte) (engine.Transport, error) {
	t, err := attach(poll, below, nil)
	if err != nil {
		return nil, err
	}
	return tls.New(secured, t, early)
}
