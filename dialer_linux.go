package websock

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// choosePortLate makes bind leave the port open until connect. A system that can't chooses it
// early, and does as well as it can.
func choosePortLate(conn syscall.RawConn) {
	conn.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
