//go:build linux

package epoll

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// maxEvents is how many events are taken at once.
	maxEvents = 256

	// nap is how long a loop that was busy waits in the kernel before it parks. See
	// poller.wait.
	nap = 50 * time.Microsecond
)

// A poller waits for events of descriptors. It belongs to the goroutine of one loop; only
// control may be called by others.
type poller struct {
	epfd   int
	file   *os.File        // epfd as the runtime sees it
	raw    syscall.RawConn // of file
	ready  func(uintptr) bool
	events []unix.EpollEvent
	n      int  // of them are there
	timed  bool // file has a deadline
}

func newPoller() (*poller, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	unix.SetNonblock(epfd, true) // so that the runtime takes it for a descriptor that can be waited for
	p := &poller{epfd: epfd, file: os.NewFile(uintptr(epfd), "epoll"), events: make([]unix.EpollEvent, maxEvents)}
	p.ready = func(uintptr) bool { return p.poll() }
	p.raw, err = p.file.SyscallConn()
	return p, err
}

func (p *poller) close() { p.file.Close() }

func (p *poller) control(op, fd int, events uint32) error {
	err := unix.EpollCtl(p.epfd, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
	return os.NewSyscallError("epoll_ctl", err)
}

// wait returns the next events, or none when the wheel wants to be looked at.
//
// Where there are none it parks, as a goroutine that reads from a network connection does:
// blocked in the kernel it would hold a thread, and up to the scheduler's next look around
// a processor. But to park the only processor there is costs as much as a small read, so
// there a loop that was busy waits in the kernel for a moment first, once the goroutines
// that it has made runnable had their turn.
func (p *poller) wait(w *wheel) []unix.EpollEvent {
	busy := p.n > 0
	if p.poll() || busy && runtime.GOMAXPROCS(0) == 1 && p.yieldAndNap() {
		return p.events[:p.n]
	}
	if sleep := w.sleep(); sleep >= 0 || p.timed {
		p.timed = sleep >= 0
		deadline := time.Time{}
		if p.timed {
			deadline = time.Now().Add(sleep)
		}
		p.file.SetReadDeadline(deadline)
	}
	p.raw.Read(p.ready) // an error says that it is time
	return p.events[:p.n]
}

// poll takes the events that are there, and reports whether there are any.
func (p *poller) poll() bool {
	p.n = epollWait(p.epfd, p.events)
	return p.n > 0
}

func (p *poller) yieldAndNap() bool {
	runtime.Gosched()
	p.n = epollWaitFor(p.epfd, p.events, nap)
	return p.n > 0
}
