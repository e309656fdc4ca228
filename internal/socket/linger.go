//go:build unix || windows

package socket

import "net"

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
	lingers := false
	raw.Control(func(fd uintptr) {
		on, seconds := lingerOf(fd)
		lingers = on && seconds > 0
	})
	if lingers {
		tcp.SetLinger(-1)
	}
}
