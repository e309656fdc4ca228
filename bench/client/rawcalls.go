//go:build linux

package client

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawWaits are ways to wait for events.
var rawWaits = map[string]func() func(epoll int, events []unix.EpollEvent) (int, error){
	// block waits in the kernel, at once.
	"block": func() func(int, []unix.EpollEvent) (int, error) { return waitBlocking },

	// poll looks first, without telling the scheduler that a system call begins.
	"poll": func() func(int, []unix.EpollEvent) (int, error) {
		return func(epoll int, events []unix.EpollEvent) (int, error) {
			if n, err := look(epoll, events); n != 0 {
				return n, err
			}
			return waitBlocking(epoll, events)
		}
	},

	// yield looks first, lets the other goroutines run, and looks again before it
	// waits in the kernel.
	"yield": func() func(int, []unix.EpollEvent) (int, error) {
		return func(epoll int, events []unix.EpollEvent) (int, error) {
			if n, err := look(epoll, events); n != 0 {
				return n, err
			}
			runtime.Gosched()
			if n, err := look(epoll, events); n != 0 {
				return n, err
			}
			return waitBlocking(epoll, events)
		}
	},

	// park looks first and then leaves the waiting to Go's own poller, in which the
	// loop's is nested: no thread waits for this loop.
	"park": func() func(int, []unix.EpollEvent) (int, error) { return new(parked).wait },
}

func waitBlocking(epoll int, events []unix.EpollEvent) (int, error) {
	for {
		n, err := unix.EpollWait(epoll, events, -1)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// look returns what is there already. 0 events and no error also stand for an
// interruption.
func look(epoll int, events []unix.EpollEvent) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return -1, errno
}

type parked struct {
	file *os.File
	conn syscall.RawConn
}

func (p *parked) wait(epoll int, events []unix.EpollEvent) (n int, err error) {
	if p.file == nil {
		if err := unix.SetNonblock(epoll, true); err != nil { // so that os gives it to the poller
			return 0, err
		}
		p.file = os.NewFile(uintptr(epoll), "epoll")
		if p.conn, err = p.file.SyscallConn(); err != nil {
			return 0, err
		}
	}
	failed := p.conn.Read(func(fd uintptr) bool {
		n, err = look(int(fd), events)
		return n != 0
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}

// rawIO are ways to read and write.
var rawIO = map[string]func(trap, fd, p, n uintptr) (uintptr, uintptr, syscall.Errno){
	"raw": syscall.RawSyscall, // the scheduler isn't told
	"sys": syscall.Syscall,
}
