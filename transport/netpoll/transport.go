//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	stdtls "crypto/tls"
	"net"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/spare"
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
func (m Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	if _, below := takeApart(conn); !hasDescriptor(below) {
		return std.New(conn, early), nil
	}
	r, err := m.Reserve()
	if err != nil {
		return nil, err
	}
	defer r.Release()
	return r.Attach(conn, early)
}

// Reserve sets aside the second descriptor that a connection takes, to which its own is moved,
// as websock.Reserver has it.
func (Maker) Reserve() (engine.Reservation, error) {
	poll, err := pick()
	if err != nil {
		return nil, err
	}
	d, err := spare.Reserve()
	if err != nil {
		return nil, err
	}
	return &reservation{poll, d}, nil
}

// A reservation is a descriptor and the poller that is to look at it.
type reservation struct {
	poll  netpoll.Poll // nil: it wasn't found
	spare *spare.Descriptor
}

// Release gives back the descriptor if Attach hasn't used it.
func (r *reservation) Release() { r.spare.Release() }

// Attach is that of Maker.
func (r *reservation) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	secured, below := takeApart(conn)
	if r.poll == nil || !hasDescriptor(below) {
		return std.New(conn, early), nil
	}
	if secured != nil {
		t, err := r.attach(below, nil)
		if err != nil {
			return nil, err
		}
		return tls.New(secured, t, early)
	}
	t, err := r.attach(conn, early)
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
