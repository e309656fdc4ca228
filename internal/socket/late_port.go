package socket

import (
	"context"
	"net"
	"syscall"
)

// LatePort returns a copy of d, which may be nil for the zero net.Dialer. If its LocalAddr has no port,
// the system chooses the port when the remote address is known, where it can. Connections to different
// addresses can then share ports, so the number of ports limits the connections to each of them, and
// not the connections to all.
func LatePort(d *net.Dialer) *net.Dialer {
	var own net.Dialer
	if d != nil {
		own = *d
	}
	if tcp, ok := own.LocalAddr.(*net.TCPAddr); !ok || tcp.Port != 0 {
		return &own
	}
	control := own.ControlContext
	if control == nil && own.Control != nil {
		plain := own.Control
		control = func(_ context.Context, network, address string, conn syscall.RawConn) error {
			return plain(network, address, conn)
		}
	}
	own.ControlContext = func(ctx context.Context, network, address string, conn syscall.RawConn) error {
		choosePortLate(conn)
		if control == nil {
			return nil
		}
		return control(ctx, network, address, conn)
	}
	return &own
}
