package websock

import (
	"context"
	"net"
	"syscall"
)

// dialer returns a net.Dialer that leaves the choice of a source port to the moment at which
// the peer is known, where the system can. A port can then be used for as many peers as there
// are: the number of connections from one address is bounded for each of them, not
// altogether.
func (c *Config) dialer() *net.Dialer {
	var d net.Dialer
	if c.Dialer != nil {
		d = *c.Dialer
	}
	if !choosesPort(d.LocalAddr) {
		return &d
	}
	control := d.ControlContext
	if control == nil && d.Control != nil {
		plain := d.Control
		control = func(_ context.Context, network, address string, conn syscall.RawConn) error {
			return plain(network, address, conn)
		}
	}
	d.ControlContext = func(ctx context.Context, network, address string, conn syscall.RawConn) error {
		choosePortLate(conn)
		if control == nil {
			return nil
		}
		return control(ctx, network, address, conn)
	}
	return &d
}

// choosesPort reports whether a local address is bound whose port the system chooses.
func choosesPort(local net.Addr) bool {
	tcp, ok := local.(*net.TCPAddr)
	return ok && tcp.Port == 0
}
