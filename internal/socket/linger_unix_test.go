//go:build unix

package socket_test

import (
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/socket"
)

func TestDisableLingerKeepsALingerOfZero(t *testing.T) {
	for seconds, want := range map[int]int32{-1: 0, 0: 1, 30: 0} {
		a, _ := netpair.Sockets(t, "tcp")
		conn := a.(*net.TCPConn)
		conn.SetLinger(seconds)
		socket.DisableLinger(conn)
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if got, err := unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER); got.Onoff != want || err != nil {
				t.Errorf("of %d seconds %+v is left, %v", seconds, *got, err)
			}
		})
	}
	pipe, _ := net.Pipe()
	socket.DisableLinger(pipe)
}

func TestCloseDoesNotLinger(t *testing.T) {
	a, _ := netpair.Sockets(t, "tcp")
	conn := a.(*net.TCPConn)
	conn.SetLinger(30)
	conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	for {
		if _, err := conn.Write(make([]byte, 1<<20)); err != nil {
			break // the peer reads nothing
		}
	}
	socket.DisableLinger(conn)
	start := time.Now()
	conn.Close()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}
