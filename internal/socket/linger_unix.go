//go:build unix

package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// DisableLinger makes Close of conn return at once. With SO_LINGER set, the close of a socket,
// even of one that doesn't block otherwise, waits up to so many seconds until the peer has
// acknowledged what was sent. A time of zero, with which close resets the stream, is left as it
// is.
func DisableLinger(conn net.Conn) {
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
