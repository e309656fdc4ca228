//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// Transport returns what websock.Config.Transport wants: a Factory that uses netpoll's pollers.
func Transport() Factory { return Factory{} }

// A Factory makes connections of this package. It may be used from any goroutine.
type Factory struct{}

// Attach has one of netpoll's pollers watch conn's descriptor, and closes conn itself. early are
// bytes that were read from conn; they are received first, and belong to the Conn. If the system
// has no descriptor left, or the poller can't watch another, its error is returned, and conn is as
// it was.
//
// It returns transport.ErrUnsupported for a connection that isn't a *net.TCPConn or *net.UnixConn,
// and for all if this version of netpoll has its pollers in a place where this package doesn't
// find them.
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

// Reserve reserves the second descriptor that a connection takes, as transport.Reserver says.
func (Factory) Reserve() (transport.Reservation, error) {
	poll, err := nextPoller()
	if err != nil {
		return nil, err
	}
	d, err := socket.ReserveDescriptor()
	if err != nil {
		return nil, err
	}
	return &reservation{poll, d}, nil
}

// A reservation is a descriptor and the poller that is to watch it.
type reservation struct {
	poll  netpoll.Poll // nil: it wasn't found
	spare *socket.Descriptor
}

// Release closes the descriptor unless Attach has used it.
func (r *reservation) Release() { r.spare.Release() }

// Attach is that of Factory.
func (r *reservation) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	if r.poll == nil || !socket.HasDescriptor(conn) {
		return nil, transport.ErrUnsupported
	}
	t, err := r.attach(conn, early)
	if err != nil {
		return nil, err // not an interface that holds a nil *Conn
	}
	return t, nil
}
