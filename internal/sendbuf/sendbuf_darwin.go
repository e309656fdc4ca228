package sendbuf

import "golang.org/x/sys/unix"

// Unacknowledged returns the number of bytes, 0 if the system can't tell.
func Unacknowledged(fd uintptr) int {
	n, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NWRITE)
	if err != nil {
		return 0
	}
	return n
}
