//go:build linux

package epoll

import (
	"io"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below don't block, so the scheduler isn't told about them: that takes a tenth
// of what a small read takes.

// read reads once. The error is unix.EAGAIN when there is nothing to read yet, io.EOF at
// the end. p is not empty.
func read(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, unix.EAGAIN
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

// write writes once. The error is unix.EAGAIN when nothing can be written yet. p is not
// empty. A signal for a stream that is closed is not raised.
func write(fd int, p []byte) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return 0, unix.EAGAIN
		case errno != 0:
			return 0, os.NewSyscallError("write", errno)
		default:
			return int(n), nil
		}
	}
}

// epollWait takes the events that are there, without waiting, and returns how many.
func epollWait(epfd int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// epollWaitAwake is epollWait for a loop that was parked. When all goroutines were, the
// runtime's monitor may be asleep, and it is a system call that the scheduler is told about
// that wakes it. Without it nobody would look after the other loops, or preempt this one, as
// long as this one is busy.
func epollWaitAwake(epfd int, events []unix.EpollEvent) int {
	n, err := unix.EpollWait(epfd, events, 0)
	if err != nil {
		return 0
	}
	return n
}
