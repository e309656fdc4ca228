package sendbuf

import "golang.org/x/sys/unix"

// Unacknowledged returns the number of bytes, 0 if the system can't tell.
func Unacknowledged(fd uintptr) int {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
