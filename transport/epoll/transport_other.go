//go:build !linux

package epoll

import (
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// Transport returns std.Transport's like: there is no epoll on this system, so every
// connection has a goroutine.
func Transport() Maker { return Maker{} }

// Loops is Transport: there are no loops on this system.
func Loops(n int) Maker { return Maker{} }

// A Maker makes transports.
type Maker struct{}

// Attach returns std.New(conn, early). It never fails.
func (Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	return std.New(conn, early), nil
}
