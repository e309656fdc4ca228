//go:build unix && (!linux || race)

package socket

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// The race detector knows syscall.Read and Write: what happened before a write has happened before
// the read that gets its bytes. All calls tell the scheduler, also the raw ones.

func sysRead(fd int, p []byte, raw bool) (int, syscall.Errno) {
	n, err := syscall.Read(fd, p)
	return n, errnoOf(err)
}

func sysWrite(fd int, p []byte, raw bool) (int, syscall.Errno) {
	n, err := syscall.Write(fd, p)
	return n, errnoOf(err)
}

// sysWritev writes the first slices, as many as fit in a message.
func sysWritev(fd int, bufs [][]byte, raw bool) (int, syscall.Errno) {
	const most = 64
	n, err := unix.SendmsgBuffers(fd, bufs[:min(len(bufs), most)], nil, nil, 0)
	return n, errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	errno, _ := err.(syscall.Errno)
	return errno
}
