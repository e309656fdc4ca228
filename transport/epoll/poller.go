//go:build linux

package epoll

import (
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxEvents is how many events are taken at once.
const maxEvents = 256

// A poller waits for events of descriptors. It belongs to the goroutine of one loop; only
// control may be called by others.
type poller struct {
	epfd     int
	ctl      ctl
	file     *os.File           // epfd as the runtime sees it
	raw      syscall.RawConn    // of file
	attempt  func(uintptr) bool // for raw
	events   []unix.EpollEvent
	n        int     // of them are there
	attempts int     // in the wait under way
	deadline instant // of file; 0: none
}

// A ctl is what a test puts in the place of unix.EpollCtl.
type ctl func(epfd, op, fd int, event *unix.EpollEvent) error

func newPoller(ctl ctl) (*poller, error) {
	if ctl == nil {
		ctl = unix.EpollCtl
	}
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	unix.SetNonblock(epfd, true) // so that the runtime takes it for a descriptor that can be waited for
	p := &poller{epfd: epfd, ctl: ctl, file: os.NewFile(uintptr(epfd), "epoll"), events: make([]unix.EpollEvent, maxEvents)}
	p.attempt = func(uintptr) bool {
		if p.attempts > 0 {
			p.n = epollWaitAwake(epfd, p.events)
		} else {
			p.n = epollWait(epfd, p.events)
		}
		p.attempts++
		return p.n > 0
	}
	if err := p.file.SetReadDeadline(time.Time{}); err != nil { // the runtime has no poller that takes it
		p.close()
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	p.raw, err = p.file.SyscallConn()
	return p, err
}

func (p *poller) close() { p.file.Close() }

func (p *poller) control(op, fd int, events uint32) error {
	err := p.ctl(p.epfd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// wait returns the next events, or none when the deadline has passed; 0 is none. It reports
// whether it had to wait for them.
//
// Where there are none it parks, as a goroutine that reads from a network connection does:
// blocked in the kernel it would hold a thread, and up to the scheduler's next look around
// a processor, on which nobody would notice what arrives elsewhere.
func (p *poller) wait(deadline instant) (events []unix.EpollEvent, parked bool) {
	if deadline != p.deadline {
		p.deadline = deadline
		p.file.SetReadDeadline(deadline.time())
	}
	p.n, p.attempts = 0, 0
	p.raw.Read(p.attempt) // an error says that it is time
	if p.attempts == 0 {  // it was before, and nobody has looked
		return p.poll(), false
	}
	return p.events[:p.n], p.attempts > 1
}

// poll returns the events that are there, without waiting.
func (p *poller) poll() []unix.EpollEvent {
	return p.events[:epollWait(p.epfd, p.events)]
}

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
