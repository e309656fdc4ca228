//go:build linux

package epoll

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// epollWait takes the events that are there, without waiting, and returns how many. Since it
// doesn't block, the scheduler isn't told about it, which would cost more than the call.
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
