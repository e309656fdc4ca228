package socket_test

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/loopback"
	"github.com/seed004e8d11/websock/internal/socket"
)

func TestOpenTCPSetsTheOptionsOfNetDialer(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.1"} {
		addr := netip.AddrPortFrom(netip.MustParseAddr(host), 1)
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Log(err) // no IPv6 here
			continue
		}
		defer l.Close()
		dialed, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer dialed.Close()
		fd, err := socket.OpenTCP(addr)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		onFd(t, dialed, func(reference int) {
			for name, option := range map[string][2]int{
				"SO_DOMAIN":     {unix.SOL_SOCKET, unix.SO_DOMAIN},
				"SO_PROTOCOL":   {unix.SOL_SOCKET, unix.SO_PROTOCOL},
				"SO_KEEPALIVE":  {unix.SOL_SOCKET, unix.SO_KEEPALIVE},
				"SO_LINGER":     {unix.SOL_SOCKET, unix.SO_LINGER},
				"SO_BROADCAST":  {unix.SOL_SOCKET, unix.SO_BROADCAST},
				"SO_REUSEADDR":  {unix.SOL_SOCKET, unix.SO_REUSEADDR},
				"TCP_NODELAY":   {unix.IPPROTO_TCP, unix.TCP_NODELAY},
				"TCP_KEEPIDLE":  {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE},
				"TCP_KEEPINTVL": {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL},
				"TCP_KEEPCNT":   {unix.IPPROTO_TCP, unix.TCP_KEEPCNT},
			} {
				got, err := unix.GetsockoptInt(fd, option[0], option[1])
				want, wantErr := unix.GetsockoptInt(reference, option[0], option[1])
				if got != want || err != wantErr {
					t.Errorf("%s, %s: %d, %v; that of net.Dial is %d, %v", host, name, got, err, want, wantErr)
				}
			}
			flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			closes, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if flags&unix.O_NONBLOCK == 0 || closes&unix.FD_CLOEXEC == 0 {
				t.Errorf("%s: flags %#x, %#x", host, flags, closes)
			}
		})
	}
}

func TestConnectReportsThatNobodyListens(t *testing.T) {
	addr := netip.MustParseAddrPort(loopback.Addresses(t, 1)[0])
	fd, err := socket.OpenTCP(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for err = unix.EAGAIN; err == unix.EAGAIN; {
		err = socket.Connect(fd, socket.Sockaddr(addr))
	}
	if !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != "connect: connection refused" {
		t.Error(err)
	}
}
