//go:build !((linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64)))

package netpoll

import (
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// Attach returns std.New(conn, early): netpoll doesn't build for this system. It
// never fails.
func (Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	return std.New(conn, early), nil
}
