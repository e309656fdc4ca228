//go:build !race

package socket

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below don't block, so the scheduler isn't told about them: that takes a tenth of what
// a small read takes.

func sysRead(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return int(n), errno
}

// sysWrite raises no signal for a stream that is closed.
func sysWrite(fd int, p []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	return int(n), errno
}

// sysWritev writes the first slices, as many as fit in a message. It raises no signal either.
func sysWritev(fd int, bufs [][]byte) (int, syscall.Errno) {
	var vectors [8]unix.Iovec
	bufs = bufs[:min(len(bufs), len(vectors))]
	for i, p := range bufs {
		vectors[i].Base = unsafe.SliceData(p)
		vectors[i].SetLen(len(p))
	}
	message := unix.Msghdr{Iov: &vectors[0]}
	message.SetIovlen(len(bufs))
	n, _, errno := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), unix.MSG_NOSIGNAL)
	return int(n), errno
}
