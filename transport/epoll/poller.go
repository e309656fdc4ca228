//go:build linux

package epoll

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"github.com/seed004e8d11/websock/internal/timing"
	"golang.org/x/sys/unix"
)

const (
	// maxEvents is how many events are taken at once. What they need stays in the processor's cache
	// then, and what is written for the first of them isn't late.
	maxEvents = 32

	// edgeTriggered is unix.EPOLLET in the type that EpollEvent has.
	edgeTriggered = 1 << 31
)

// A poller waits for events of descriptors. It belongs to the goroutine of one loop; only control
// may be called by others.
type poller struct {
	pollable
	ctl      ctlFunc
	attempt  func(uintptr) bool // for raw
	events   []unix.EpollEvent
	n        int            // how many of events were taken
	attempts int            // of the wait under way
	deadline timing.Instant // of file; 0: none
	blocker  blocker
}

// A ctlFunc is unix.EpollCtl, or what a test puts in its place.
type ctlFunc func(epfd, op, fd int, event *unix.EpollEvent) error

// A pollable is an epoll for which a goroutine can wait in the runtime's poller.
type pollable struct {
	epfd int
	file *os.File        // epfd in the runtime's poller
	raw  syscall.RawConn // of file
}

func newPollable() (p pollable, err error) {
	p.epfd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return p, os.NewSyscallError("epoll_create1", err)
	}
	unix.SetNonblock(p.epfd, true) // so that os.NewFile adds it to the runtime's poller
	p.file = os.NewFile(uintptr(p.epfd), "epoll")
	if err := p.file.SetReadDeadline(time.Time{}); err != nil { // the runtime's poller doesn't take it
		p.close()
		return p, os.NewSyscallError("epoll_ctl", err)
	}
	p.raw, err = p.file.SyscallConn()
	return p, err
}

func (p *pollable) close() { p.file.Close() }

func newPoller(ctl ctlFunc) (*poller, error) {
	if ctl == nil {
		ctl = unix.EpollCtl
	}
	in, err := newPollable()
	if err != nil {
		return nil, err
	}
	p := &poller{pollable: in, ctl: ctl, events: make([]unix.EpollEvent, maxEvents)}
	p.blocker = newBlocker(p)
	p.attempt = func(uintptr) bool {
		if p.attempts > 0 && !p.blocker.keepsTimer() {
			p.n = epollWaitParked(p.epfd, p.events)
		} else {
			p.n = epollWait(p.epfd, p.events)
		}
		p.attempts++
		return p.n > 0
	}
	return p, nil
}

func (p *poller) close() {
	p.pollable.close()
	if p.blocker.timer >= 0 {
		unix.Close(p.blocker.timer)
	}
}

func (p *poller) control(op, fd int, events uint32) error {
	err := p.ctl(p.epfd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// wait returns the next events, or none when the deadline has passed; 0 is none. It may also return
// none before. It reports whether other goroutines could run.
func (p *poller) wait(deadline timing.Instant) (events []unix.EpollEvent, yielded bool) {
	start := p.blocker.now()
	if n, ok := p.blocker.block(p.epfd, p.events, start, deadline); ok {
		return p.events[:n], true
	}
	events, parked := p.park(p.blocker.parkUntil(start, deadline, p.deadline))
	if parked {
		p.blocker.hasParked(start, len(events) > 0)
	}
	return events, parked
}

// park waits like a goroutine that reads from a network connection. If it blocked in the kernel it
// would hold a thread, and until the scheduler notices also a processor, whose goroutines would have
// to wait.
func (p *poller) park(deadline timing.Instant) (events []unix.EpollEvent, parked bool) {
	if deadline != p.deadline {
		p.deadline = deadline
		p.file.SetReadDeadline(deadline.Time())
	}
	p.n, p.attempts = 0, 0
	p.raw.Read(p.attempt) // an error means that the deadline has passed
	if p.attempts == 0 {  // before there was an attempt
		return p.poll(), false
	}
	return p.events[:p.blocker.takeTimer(p.events[:p.n])], p.attempts > 1 || p.n == 0
}

// poll returns the events that are there, without waiting.
func (p *poller) poll() []unix.EpollEvent {
	n := epollWait(p.epfd, p.events)
	return p.events[:p.blocker.takeTimer(p.events[:n])]
}

// epollWait takes the events that are there, without waiting, and returns how many. Since it
// doesn't block, the scheduler isn't told about the call, which would cost more than the call
// itself.
func epollWait(epfd int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// epollWaitParked is epollWait for a loop that was parked. When all goroutines are parked, the
// runtime's monitor sleeps, and only a timer wakes it, or a system call that the scheduler is told
// about. As long as it sleeps and this loop is busy, nothing polls for the other loops or preempts
// this one.
func epollWaitParked(epfd int, events []unix.EpollEvent) int {
	n, err := unix.EpollWait(epfd, events, 0)
	if err != nil {
		return 0
	}
	return n
}
