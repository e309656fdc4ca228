package std

import (
	"net"

	"github.com/seed004e8d11/websock/transport"
)

// Transport returns a Factory for websock.Config.Transport, where it is the default.
func Transport() Factory { return Factory{} }

// A Factory is a transport.Factory that carries every net.Conn. It may be used by several goroutines
// at once.
type Factory struct{}

// Attach returns New(conn, early). The error is always nil.
func (Factory) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return New(conn, early), nil
}
