package fanout

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRotationLetsConnectionsShareSourcePorts(t *testing.T) {
	host := newHostWithAddresses(t, 1)
	targets := From(Target{URL: host.url}, netip.MustParseAddr("127.3.2.1"))
	var late atomic.Int64
	targets[0].Config.Dialer.Control = func(_, _ string, conn syscall.RawConn) error {
		return conn.Control(func(fd uintptr) {
			value, _ := unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT)
			late.Add(int64(value))
		})
	}
	g := startGroup(t, Options{Targets: targets, Rotation: &Rotation{Lookup: host.lookUp}})
	waitAllUp(t, g)
	if late.Load() != 1 {
		t.Error("the port is chosen before the address is known")
	}
}
