package socket

import "golang.org/x/sys/unix"

// Unacknowledged returns how many of the bytes written to a socket the peer's system has not
// acknowledged yet, 0 if the system can't tell.
func Unacknowledged(fd int) int {
	n, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}
