package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// choosePortLate makes the kernel choose the port at connect instead of bind. Errors are ignored:
// the port is then chosen at bind.
func choosePortLate(conn syscall.RawConn) {
	conn.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
