//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport/std"
)

// Attach takes over conn, which must not be used afterwards. early are bytes that
// were read from it before; they are received first, and belong to the transport.
//
// A *net.TCPConn or *net.UnixConn goes to netpoll. Anything else, TLS among them,
// has no descriptor that can be read past it and is carried by std.New. The error
// is that of the system when it has no descriptor left or netpoll's poller takes
// none; conn is then as it was.
func (Maker) Attach(conn net.Conn, early []byte) (engine.Transport, error) {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		t, err := attachRaw(conn, early)
		if err != nil {
			return nil, err
		}
		return t, nil
	}
	return std.New(conn, early), nil
}
