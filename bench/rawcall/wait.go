//go:build linux

package rawcall

import (
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Events is how many events to take at once: few enough that what the kernel has touched to find them is
// still in the cache when they are handled.
const Events = 32

// A Wait waits for events. It returns 0 events and no error if it was interrupted.
type Wait func(epoll int, events []unix.EpollEvent) (int, error)

// Waits has the ways to wait.
var Waits = map[string]func() Wait{
	"block": func() Wait { return block },
	"poll":  func() Wait { return pollFirst },
	"yield": func() Wait { return Yield },
	"hold":  func() Wait { return hold },
	"park":  newParked,
}

// block blocks in the kernel.
func block(epoll int, events []unix.EpollEvent) (int, error) {
	n, err := unix.EpollWait(epoll, events, -1)
	if err == unix.EINTR {
		return 0, nil
	}
	return n, err
}

// pollFirst polls before it blocks, without telling the scheduler of the system call.
func pollFirst(epoll int, events []unix.EpollEvent) (int, error) {
	if n, err := poll(epoll, events, 0); n != 0 || err != nil {
		return n, err
	}
	return block(epoll, events)
}

// Yield polls, lets other goroutines run, and polls again before it blocks.
func Yield(epoll int, events []unix.EpollEvent) (int, error) {
	if n, err := poll(epoll, events, 0); n != 0 || err != nil {
		return n, err
	}
	runtime.Gosched()
	return pollFirst(epoll, events)
}

// hold blocks without telling the scheduler, so that no other goroutine runs on this processor
// until the scheduler interrupts the loop. It shows the cost of the scheduler; a program with other
// goroutines can't do this.
func hold(epoll int, events []unix.EpollEvent) (int, error) {
	n, err := poll(epoll, events, -1)
	if n == 0 {
		runtime.Gosched()
	}
	return n, err
}

// poll waits at most timeout milliseconds.
func poll(epoll int, events []unix.EpollEvent, timeout int) (int, error) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(timeout), 0, 0)
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, errno
}

// A parked loop polls and then waits in Go's own poller, in which its epoll is nested: no thread blocks
// for the loop.
type parked struct {
	conn   syscall.RawConn
	events []unix.EpollEvent
	n      int
	err    error
	ready  func(epoll uintptr) bool // made once
}

func newParked() Wait {
	p := new(parked)
	p.ready = func(epoll uintptr) bool {
		p.n, p.err = poll(int(epoll), p.events, 0)
		return p.n != 0 || p.err != nil
	}
	return p.wait
}

func (p *parked) wait(epoll int, events []unix.EpollEvent) (int, error) {
	if p.conn == nil {
		if err := p.nest(epoll); err != nil {
			return 0, err
		}
	}
	p.events = events
	if err := p.conn.Read(p.ready); err != nil {
		return 0, err
	}
	return p.n, p.err
}

func (p *parked) nest(epoll int) (err error) {
	if err := unix.SetNonblock(epoll, true); err != nil { // required by os for pollable files
		return err
	}
	p.conn, err = os.NewFile(uintptr(epoll), "epoll").SyscallConn()
	return err
}
