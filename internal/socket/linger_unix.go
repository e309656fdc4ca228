//go:build unix

package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// NeverWait makes closing conn return at once. A socket with SO_LINGER makes close wait for the
// peer to take what was sent, for as many seconds as that says, also if it doesn't block
// otherwise. That with none, which has close reset the stream, stays.
func NeverWait(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return // it is closed
	}
	raw.Control(func(fd uintptr) {
		linger, err := unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER)
		if err == nil && linger.Onoff != 0 && linger.Linger > 0 {
			unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{})
		}
	})
}
