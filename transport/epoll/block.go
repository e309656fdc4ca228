//go:build linux

package epoll

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/timing"
)

const (
	// soon is how soon events follow each other if a loop blocks for them. Otherwise it parks.
	soon = timing.Instant(100 * time.Microsecond)

	// parkInterval is how long a loop blocks before it parks once, so that the scheduler looks
	// after the connections and timers of other goroutines.
	parkInterval = timing.Instant(200 * time.Microsecond)

	// emptyYield is the most that runtime.Gosched takes if no other goroutine is ready. One that reads
	// from a connection takes longer.
	emptyYield = timing.Instant(2 * time.Microsecond)

	// leastShare and mostShare are how long a loop only parks after it has seen other goroutines run: the
	// least at first, and twice as long each time that they run again within shareMemory. A yield is also
	// slow if the system interrupts it, which happens every few milliseconds, so a single one must not
	// keep the loop from blocking for long.
	leastShare  = timing.Instant(500 * time.Microsecond)
	mostShare   = timing.Instant(10 * time.Millisecond)
	shareMemory = timing.Instant(time.Millisecond)

	// monitorSleep is how long the runtime's monitor sleeps at most beside a busy loop.
	monitorSleep = timing.Instant(10 * time.Millisecond)
)

// A waitMode is how a loop waits for events.
//
// A loop that parks needs three system calls more for a message than one that blocks in the kernel,
// since its epoll is nested in that of the runtime. But one that blocks holds its processor. So a
// loop blocks only if that keeps no other goroutine waiting for long: the program has one
// processor, for a while no other goroutine had anything to do, and events follow each other
// closely.
//
// With more processors it isn't enough that other goroutines of the same one may run first. One
// that becomes ready later would wait for this loop, although its processor has nothing to do; and
// while no thread is in the runtime's poller, nothing that arrives for others is noticed.
type waitMode uint8

const (
	parking        waitMode = iota // it parks: events are rare
	parkingBriefly                 // it parks: the last event came soon
	blocking                       // it blocks
	parkingOnce                    // it parks: it has blocked for long enough
	sharing                        // it parks: other goroutines want to run
	neverBlocking                  // it parks: there is no timer that would end a block
)

// A waitEnd is what was seen when a wait ended.
type waitEnd uint8

const (
	endedSoon  waitEnd = iota // an event came soon
	endedLate                 // none did
	timeIsUp                  // the loop has blocked for parkInterval
	sharedWait                // other goroutines want to run
	noTimer                   // there is no timer
)

// waitModes has the mode that follows.
var waitModes = [...][5]waitMode{
	parking:        {endedSoon: parkingBriefly, endedLate: parking},
	parkingBriefly: {endedSoon: blocking, endedLate: parking},
	blocking:       {endedSoon: blocking, endedLate: parking, timeIsUp: parkingOnce, sharedWait: sharing, noTimer: neverBlocking},
	parkingOnce:    {endedSoon: blocking, endedLate: parking},
	sharing:        {endedSoon: parkingBriefly, endedLate: parking},
	neverBlocking:  {endedSoon: neverBlocking, endedLate: neverBlocking},
}

// A blocker decides how a loop waits, and blocks.
type blocker struct {
	mode        waitMode
	sharedUntil timing.Instant // how long the mode stays sharing
	shareTime   timing.Instant // how long it did or does so
	timer       int            // a timerfd that ends a block after parkInterval; -1: there was no need for it yet

	// What a test replaces.
	now        func() timing.Instant
	yield      func()
	processors func() int
	arm        func() error // starts the timer
	wait       func(epfd int, events []unix.EpollEvent) (int, syscall.Errno)
}

func newBlocker(p *poller) blocker {
	return blocker{
		timer:      -1,
		now:        timing.Now,
		yield:      runtime.Gosched,
		processors: func() int { return runtime.GOMAXPROCS(0) },
		arm:        p.armTimer,
		wait:       epollWaitBlocking,
	}
}

// block waits for events, but not beyond the deadline. It returns false if the loop has to park.
func (b *blocker) block(epfd int, events []unix.EpollEvent, start, deadline timing.Instant) (n int, ok bool) {
	if b.mode != blocking || deadline != 0 && deadline-start <= parkInterval {
		return 0, false
	}
	b.yield()
	if now := b.now(); now-start > emptyYield {
		b.share(now)
		return 0, false
	}
	n, errno := b.wait(epfd, events)
	if errno != 0 { // EINTR: the scheduler may want to interrupt the loop
		return 0, true
	}
	n = b.takeTimer(events[:n])
	return n, n > 0
}

// takeTimer removes the timer's event, and returns how many others there are. However the loop got it,
// it has to park then: the timer reports its end once, and nothing else would end a block.
func (b *blocker) takeTimer(events []unix.EpollEvent) (n int) {
	n = len(events)
	for i, e := range events {
		if e.Fd == int32(b.timer) {
			n--
			events[i] = events[n]
			if b.mode == blocking {
				b.next(timeIsUp)
			}
			break
		}
	}
	return n
}

// keepsTimer reports whether there always is a timer while the loop parks: it is busy.
//
// When all goroutines are parked, the runtime's monitor may go to sleep until the next timer; as
// long as it sleeps, nobody interrupts a Handler that computes for long. To wake it after every park
// costs as much as the park. The timer does it instead.
func (b *blocker) keepsTimer() bool { return b.mode == parkingOnce || b.mode == sharing }

// parkUntil returns the deadline of a park, which is the given one at the latest. set is that of the
// park before.
func (b *blocker) parkUntil(now, deadline, set timing.Instant) timing.Instant {
	if !b.keepsTimer() {
		return deadline
	}
	until := set
	if set < now+monitorSleep/2 || set > now+monitorSleep {
		until = now + monitorSleep
	}
	if deadline != 0 {
		until = min(until, deadline)
	}
	return until
}

// hasParked tells b of a wait since start that ended with a park, with events or without.
func (b *blocker) hasParked(start timing.Instant, events bool) {
	now := b.now()
	switch {
	case b.mode == sharing && now < b.sharedUntil:
		return
	case !events || now-start > soon:
		b.next(endedLate)
	default:
		b.next(endedSoon)
	}
	if b.mode == blocking {
		if b.processors() > 1 {
			b.share(now)
		} else if b.arm() != nil {
			b.next(noTimer)
		}
	}
}

// share has the loop park for a while.
func (b *blocker) share(now timing.Instant) {
	b.next(sharedWait)
	if now-b.sharedUntil > shareMemory {
		b.shareTime = 0
	}
	b.shareTime = min(max(2*b.shareTime, leastShare), mostShare)
	b.sharedUntil = now + b.shareTime
}

func (b *blocker) next(end waitEnd) { b.mode = waitModes[b.mode][end] }

// armTimer has the timer end a block after parkInterval. A timer costs less than a timeout of every
// wait.
func (p *poller) armTimer() error {
	b := &p.blocker
	if b.timer < 0 {
		fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
		if err != nil {
			return err
		}
		if err := p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN|edgeTriggered); err != nil {
			unix.Close(fd)
			return err
		}
		b.timer = fd
	}
	return unix.TimerfdSettime(b.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(parkInterval))}, nil)
}

// epollWaitBlocking waits for events. The scheduler isn't told about the call: if it lasted for more
// than about 20 µs, its monitor could take the processor away and start another thread. A
// signal of the scheduler, for instance to collect garbage, ends the call with EINTR.
func epollWaitBlocking(epfd int, events []unix.EpollEvent) (int, syscall.Errno) {
	const forever = ^uintptr(0)
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), forever, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
