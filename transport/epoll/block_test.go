//go:build linux

package epoll

import (
	"fmt"
	"io"
	"math"
	"net"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/timing"
)

func TestALoopBlocksWhenEventsComeCloselyAndItIsAlone(t *testing.T) {
	const near, far = 10 * time.Microsecond, time.Millisecond
	always := func(d time.Duration, n int) []time.Duration { return slices.Repeat([]time.Duration{d}, n) }
	for _, test := range []struct {
		name   string
		system scriptedSystem
		gaps   []time.Duration // between events
		want   string          // how the loop waits for each of them
	}{
		{"rare events", scriptedSystem{}, always(far, 5), "park park park park park"},
		{"close events", scriptedSystem{}, always(near, 5), "park park block block block"},
		{"events that are there", scriptedSystem{}, always(0, 4), "park park block block"},
		{"one close event among rare ones", scriptedSystem{}, []time.Duration{near, far, near, far}, "park park park park"},
		{"events become rare", scriptedSystem{}, []time.Duration{near, near, near, far, far, near}, "park park block blockpark park park"},
		{"and close again", scriptedSystem{}, []time.Duration{near, near, far, near, near, near}, "park park blockpark park park block"},
		{"close events for long", scriptedSystem{}, always(90*time.Microsecond, 8), "park park block block blockpark block block blockpark"},
		{"the timer comes with an event", scriptedSystem{}, always(time.Duration(parkInterval)/4, 8), "park park block block block block park block"},
		{"two processors", scriptedSystem{processors: 2}, always(near, 5), "park park park park park"},
		{"other goroutines run", scriptedSystem{others: 20 * time.Microsecond}, always(near, 6), "park park park park park park"},
		{"others run for a moment", scriptedSystem{others: time.Microsecond}, always(near, 4), "park park block block"},
		{"no timer", scriptedSystem{armFails: unix.EMFILE}, always(near, 5), "park park park park park"},
		{"signals", scriptedSystem{interrupted: true}, always(near, 4), "park park block block"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := test.system
			s.clock, s.processors = 1, max(s.processors, 1)
			b := s.blocker()
			var got []string
			for _, gap := range test.gaps {
				got = append(got, s.wait(t, &b, gap))
			}
			if got := strings.Join(got, " "); got != test.want {
				t.Errorf("%s, want %s", got, test.want)
			}
		})
	}
}

// The more often other goroutines run, the longer the loop only parks.
func TestALoopBlocksAgainSomeTimeAfterOtherGoroutinesHaveRun(t *testing.T) {
	s := scriptedSystem{clock: 1, processors: 1}
	b := s.blocker()
	const near = 10 * time.Microsecond
	awaitBlock := func() {
		t.Helper()
		for from := s.clock; s.wait(t, &b, near) != "block"; {
			if s.clock-from > 2*mostShare {
				t.Fatal("it only parks")
			}
		}
	}
	for i, test := range []struct {
		quiet, want timing.Instant // before the others run; how long the loop parks then
	}{
		{0, leastShare},
		{0, 2 * leastShare},
		{shareMemory - 10_000, 4 * leastShare},
		{shareMemory, leastShare},
		{0, 2 * leastShare},
		{0, 4 * leastShare},
		{0, 8 * leastShare},
		{0, 16 * leastShare},
		{0, mostShare},
		{0, mostShare},
		{shareMemory, leastShare},
	} {
		awaitBlock()
		s.clock = max(s.clock, b.sharedUntil+test.quiet)
		b.mode = blocking
		s.others = 5 * time.Microsecond
		if how := s.wait(t, &b, near); how != "park" {
			t.Fatalf("%d: when others have run: %s", i, how)
		}
		s.others = 0
		from := s.clock
		awaitBlock()
		if parked := s.clock - from; parked < test.want-timing.Instant(near) || parked > test.want+5*timing.Instant(near) {
			t.Errorf("%d: it parks for %v, want %v", i, time.Duration(parked), time.Duration(test.want))
		}
	}
}

func TestALoopDoesNotBlockBeyondADeadline(t *testing.T) {
	const now = timing.Instant(time.Minute)
	for deadline, blocks := range map[timing.Instant]bool{
		0:                      true,
		now + parkInterval + 1: true,
		now + parkInterval:     false,
		now:                    false,
		1:                      false,
	} {
		s := scriptedSystem{clock: now, event: now, timer: now + parkInterval}
		b := s.blocker()
		b.mode = blocking
		if _, ok := b.block(-1, make([]unix.EpollEvent, 2), now, deadline); ok != blocks {
			t.Errorf("%v before the deadline it blocks: %v", time.Duration(deadline-now), ok)
		}
	}
}

// The runtime's monitor sleeps until the next timer, which is the deadline of a park.
func TestABusyLoopKeepsATimer(t *testing.T) {
	const now = timing.Instant(time.Minute)
	for _, test := range []struct {
		name                string
		mode                waitMode
		deadline, set, want timing.Instant
	}{
		{"events are rare", parking, 0, 0, 0},
		{"events become rare", parking, now + 5, now + monitorSleep, now + 5},
		{"one event came soon", parkingBriefly, 0, now + monitorSleep, 0},
		{"others run", sharing, 0, 0, now + monitorSleep},
		{"others run, and there is one", sharing, 0, now + monitorSleep - 1, now + monitorSleep - 1},
		{"there is none", parkingOnce, 0, 0, now + monitorSleep},
		{"there is one", parkingOnce, 0, now + monitorSleep - 1, now + monitorSleep - 1},
		{"it comes soon", parkingOnce, 0, now + monitorSleep/2 - 1, now + monitorSleep},
		{"it comes too late", parkingOnce, 0, now + monitorSleep + 1, now + monitorSleep},
		{"a deadline is later", parkingOnce, now + 2*monitorSleep, 0, now + monitorSleep},
		{"a deadline is sooner", parkingOnce, now + 1, now + monitorSleep, now + 1},
		{"a deadline has passed", parkingOnce, now - 1, 0, now - 1},
	} {
		b := blocker{mode: test.mode}
		if got := b.parkUntil(now, test.deadline, test.set); got != test.want {
			t.Errorf("%s: %v ahead, want %v", test.name, time.Duration(got-now), time.Duration(test.want-now))
		}
	}
}

// When a Handler begins to compute, the runtime's monitor may be asleep, and nothing else looks after the others.
func TestAHandlerThatComputesDoesNotStopOthers(t *testing.T) {
	for name, mode := range map[string]waitMode{"events are rare": parking, "others run": sharing} {
		for _, processors := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, GOMAXPROCS %d", name, processors), func(t *testing.T) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(processors))
				m := Loops(2)
				c, peer := attachedTo(t, m, "unix")
				other, otherPeer := attachedTo(t, m, "unix")
				var served atomic.Bool
				inTime := make(chan bool, 1)
				if err := other.Push(&sink{c: other, each: func([]byte) { served.Store(true) }}); err != nil {
					t.Fatal(err)
				}
				s := &sink{c: c}
				s.begun = func() {
					c.loop.poller.blocker.mode, c.loop.poller.blocker.sharedUntil = mode, math.MaxInt64
				}
				s.each = func([]byte) {
					for begun := timing.Now(); !served.Load() && timing.Now()-begun < timing.Instant(20*time.Second); {
					}
					inTime <- served.Load()
				}
				if err := c.Push(s); err != nil {
					t.Fatal(err)
				}
				writeFromOutside(t, peer, otherPeer)
				if !<-inTime { // waiting with a timer would wake the monitor
					t.Error("another loop gets nothing as long as the Handler computes")
				}
			})
		}
	}
}

// writeFromOutside has another process write to the first connection, and then to the second. A write of this one
// would wake the runtime's monitor.
func writeFromOutside(t *testing.T, first, second net.Conn) {
	cmd := exec.Command("sh", "-c", "sleep 0.1; echo >&3; sleep 0.05; echo >&4; read end")
	for _, c := range []net.Conn{first, second} {
		f, err := c.(*net.UnixConn).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	end, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end.Close()
		cmd.Wait()
	})
}

// blockingPoller returns a poller that blocks, and the descriptor of an event.
func blockingPoller(t *testing.T) (p *poller, fd int) {
	p, err := newPoller(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	if fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := p.control(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
		t.Fatal(err)
	}
	now := timing.Now()
	p.blocker.now = func() timing.Instant { return now } // so that it doesn't matter how long anything takes
	p.blocker.mode = blocking
	return p, fd
}

func TestABlockedLoopGetsEvents(t *testing.T) {
	p, fd := blockingPoller(t)
	unix.Write(fd, []byte{7: 1})
	for range 3 {
		events, yielded := p.wait(0)
		if len(events) != 1 || int(events[0].Fd) != fd || !yielded || p.blocker.mode != blocking {
			t.Errorf("events %v; others could run: %v; mode %d", events, yielded, p.blocker.mode)
		}
	}
}

func TestATimerEndsABlock(t *testing.T) {
	p, fd := blockingPoller(t)
	for range 3 {
		if err := p.armTimer(); err != nil {
			t.Fatal(err)
		}
		p.blocker.mode = blocking
		for p.blocker.mode == blocking {
			n, ok := p.blocker.block(p.epfd, p.events, p.blocker.now(), 0)
			if n != 0 || ok && p.blocker.mode != blocking {
				t.Fatalf("%d events; it parks: %v", n, !ok)
			}
		}
		if p.blocker.mode != parkingOnce {
			t.Errorf("mode %d", p.blocker.mode)
		}
	}
	unix.Write(fd, []byte{7: 1})
	if events, _ := p.wait(0); len(events) != 1 || int(events[0].Fd) != fd {
		t.Errorf("events %v", events)
	}
}

// It reports its end once: without it, the next block would have no end.
func TestATimerEndsABlockThatOtherWaitsComeBefore(t *testing.T) {
	for name, wait := range map[string]func(p *poller) []unix.EpollEvent{
		"one that only polls":       (*poller).poll,
		"one until a deadline soon": func(p *poller) []unix.EpollEvent { events, _ := p.park(timing.Now() + parkInterval); return events },
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := blockingPoller(t)
			if err := p.armTimer(); err != nil {
				t.Fatal(err)
			}
			waitUntil(t, "the loop parks", func() bool {
				if events := wait(p); len(events) != 0 {
					t.Fatalf("%d events", len(events))
				}
				return p.blocker.mode == parkingOnce
			})
		})
	}
}

func TestALoopThatHasBlockedParksForLongWhenItIsQuiet(t *testing.T) {
	p, fd := blockingPoller(t)
	p.blocker.now = timing.Now
	p.blocker.mode = parkingOnce
	waitUntil(t, "the loop parks", func() bool { // it polls instead if its time was over before that
		events, yielded := p.wait(0)
		if len(events) != 0 || yielded != (p.blocker.mode == parking) {
			t.Fatalf("%d events; others could run: %v; mode %d", len(events), yielded, p.blocker.mode)
		}
		return yielded
	})
	unix.Write(fd, []byte{7: 1})
	if events, _ := p.wait(0); len(events) != 1 || p.deadline != 0 {
		t.Errorf("%d events; the deadline of the park is %d", len(events), p.deadline)
	}
}

func TestABlockedLoopNoticesWhatOtherGoroutinesWant(t *testing.T) {
	m := Loops(1)
	c, peer := attachedTo(t, m, "tcp")
	blocked := make(chan struct{}, 1)
	s := &sink{c: c}
	s.begun = func() { // in the loop's goroutine
		b := &c.loop.poller.blocker
		now := timing.Now()
		b.now = func() timing.Instant { return now }
		b.mode = blocking
		b.wait = func(epfd int, events []unix.EpollEvent) (int, syscall.Errno) {
			select {
			case blocked <- struct{}{}:
			default:
			}
			n, err := unix.EpollWait(epfd, events, 60_000)
			errno, _ := err.(syscall.Errno)
			return max(n, 0), errno
		}
	}
	if err := c.Push(s); err != nil {
		t.Fatal(err)
	}
	<-blocked
	c.Pause()
	io.WriteString(peer, "Hello")
	c.Resume()
	waitUntil(t, "the bytes arrive", func() bool { return s.got() == "Hello" })
	c.Close()
	if err := s.end(t); err != net.ErrClosed {
		t.Error(err)
	}
	waitUntil(t, "the loop stops", func() bool { return fmt.Sprint(m.loops.conns()) == "[-1]" })
}
