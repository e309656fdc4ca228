//go:build !((linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64)))

package netpoll

import (
	"net"

	"github.com/seed004e8d11/websock/transport"
)

// Transport returns a Factory that carries nothing: netpoll doesn't build for this system, so that
// connections are carried by transport/std.
func Transport() Factory { return Factory{} }

// A Factory makes no connections on this system.
type Factory struct{}

// Attach returns transport.ErrUnsupported.
func (Factory) Attach(net.Conn, []byte) (transport.Conn, error) {
	return nil, transport.ErrUnsupported
}
