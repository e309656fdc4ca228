//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// Transport returns what websock.Config wants: a Factory on netpoll's pollers.
func Transport() Factory { return Factory{} }

// A Factory makes connections of this package. It may be used from any goroutine.
type Factory struct{}

// Attach has one of netpoll's pollers look at conn's descriptor: conn itself is closed. early
// are bytes that were read from conn; they are received first, and belong to the transport.
// The error is that of the system when it has no descriptor left, or doesn't let the poller
// look at another; conn is then as it was.
//
// For a connection that isn't a *net.TCPConn or *net.UnixConn it returns transport.ErrUnsupported,
// and for all if netpoll is of a version whose pollers this package doesn't find.
func (f Factory) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	if !socket.HasDescriptor(conn) {
		return nil, transport.ErrUnsupported
	}
	r, err := f.Reserve()
	if err != nil {
		return nil, err
	}
	defer r.Release()
	return r.Attach(conn, early)
}

// Reserve sets aside the second descriptor that a connection takes, to which its own is moved,
// as transport.Reserver says.
func (Factory) Reserve() (transport.Reservation, error) {
	poll, err := pick()
	if err != nil {
		return nil, err
	}
	d, err := socket.ReserveDescriptor()
	if err != nil {
		return nil, err
	}
	return &reservation{poll, d}, nil
}

// A reservation is a descriptor and the poller that is to look at it.
type reservation struct {
	poll  netpoll.Poll // nil: it wasn't found
	spare *socket.Descriptor
}

// Release gives back the descriptor if Attach hasn't used it.
func (r *reservation) Release() { r.spare.Release() }

// Attach is that of Factory.
func (r *reservation) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	if r.poll == nil || !socket.HasDescriptor(conn) {
		return nil, transport.ErrUnsupported
	}
	t, err := r.attach(conn, early)
	if err != nil {
		return nil, err // and no interface of a nil *Conn
	}
	return t, nil
}
