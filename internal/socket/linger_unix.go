//go:build unix

package socket

import "golang.org/x/sys/unix"

// lingerOf returns the SO_LINGER of a socket.
func lingerOf(fd uintptr) (on bool, seconds int) {
	linger, err := unix.GetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER)
	return err == nil && linger.Onoff != 0, int(linger.Linger)
}
