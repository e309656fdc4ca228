//go:build !linux

package epoll

import (
	"errors"
	"net"

	"github.com/seed004e8d11/websock/transport"
)

// Transport returns a Factory that carries nothing: there is no epoll on this system, so that
// connections are carried by transport/std.
func Transport() Factory { return Factory{} }

// Loops is Transport: there are no loops on this system.
func Loops(n int) Factory { return Factory{} }

// Batching returns an error: there are no loops on this system.
func Batching() error { return errNoLoops }

var errNoLoops = errors.New("websock: no event loops on this system")

// A Factory makes no connections on this system.
type Factory struct{}

// Attach returns transport.ErrUnsupported.
func (Factory) Attach(net.Conn, []byte) (transport.Conn, error) {
	return nil, transport.ErrUnsupported
}
