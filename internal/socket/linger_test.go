//go:build unix || windows

package socket_test

import (
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"

	"github.com/seed004e8d11/websock/internal/socket"
)

func TestDisableLingerKeepsALingerOfZero(t *testing.T) {
	for seconds, want := range map[int]bool{-1: false, 0: true, 30: false} {
		a, _ := netpair.Sockets(t, "tcp")
		conn := a.(*net.TCPConn)
		conn.SetLinger(seconds)
		socket.DisableLinger(conn)
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			if on, _ := socket.LingerOf(fd); on != want {
				t.Errorf("of %d seconds, a linger is left: %v", seconds, on)
			}
		})
	}
	pipe, _ := net.Pipe()
	socket.DisableLinger(pipe)
}

func TestCloseDoesNotLinger(t *testing.T) {
	a, _ := netpair.Sockets(t, "tcp")
	conn := a.(*net.TCPConn)
	const linger = 2 * time.Minute
	conn.SetLinger(int(linger / time.Second))
	conn.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
	for {
		if _, err := conn.Write(make([]byte, 1<<20)); err != nil {
			break // the peer reads nothing
		}
	}
	socket.DisableLinger(conn)
	start := time.Now()
	conn.Close()
	if took := time.Since(start); took > linger/2 {
		t.Errorf("it took %v", took)
	}
}
