//go:build !((linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64)))

package netpoll

import (
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// Transport returns std.Transport's like: netpoll doesn't build for this system, so every
// connection has a goroutine.
func Transport() Maker { return Maker{} }

// A Maker makes transports.
type Maker struct{}

// Attach returns what package transport/std makes of conn. It never fails.
func (Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	return std.Transport().Attach(conn, early)
}
