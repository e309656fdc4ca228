//go:build linux

package epoll

import (
	"os"
	"sync"

	"github.com/seed004e8d11/websock/internal/buffer"
	"golang.org/x/sys/unix"
)

const (
	// readSize is how much is read at once. The memory is shared by all connections of
	// a loop, so it can be generous.
	readSize = 128 << 10

	// edge is unix.EPOLLET in the type that EpollEvent has.
	edge = 1 << 31
)

// A loop waits for events of its connections and sees to them, one after another, in
// one goroutine.
type loop struct {
	group *group
	at    int // place in the group
	conns int // attached; under the group's lock

	poller *poller
	waker  int    // eventfd
	memory []byte // what is read into
	in     input  // of the connection that is seen to
	wheel  wheel

	mu      sync.Mutex
	calls   []*Conn // that want to be seen to without an event
	seeing  []*Conn // the calls that are answered; the loop's own
	woken   bool    // the waker has an event that was not taken
	stopped bool
}

func newLoop(g *group, at int) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		p.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{group: g, at: at, poller: p, waker: waker, wheel: wheel{clock: now}}
	if err := p.control(unix.EPOLL_CTL_ADD, waker, unix.EPOLLIN|edge); err != nil {
		p.close()
		unix.Close(waker)
		return nil, err
	}
	return l, nil
}

// run sees to connections until the loop is stopped.
func (l *loop) run() {
	b := buffer.Get(readSize)
	l.memory = b.B[:readSize]
	for !l.turn() {
	}
	b.Put()
	l.poller.close()
	unix.Close(l.waker)
}

// turn takes one batch of events, and reports whether it was the last.
func (l *loop) turn() (last bool) {
	called := false
	for _, e := range l.poller.wait(l.wheel.wake()) {
		if e.Fd == int32(l.waker) {
			called = true
		} else if c := open.get(int(e.Fd)); c != nil && c.loop == l {
			c.see(e.Events)
		}
	}
	for _, c := range l.wheel.due() {
		c.expire()
	}
	return called && l.answerCalls()
}

// call has the loop answer c soon. A loop that has no connections left has nothing to
// answer.
func (l *loop) call(c *Conn) {
	l.mu.Lock()
	l.calls = append(l.calls, c)
	l.wake()
	l.mu.Unlock()
}

// stop ends the loop once it has answered all calls.
func (l *loop) stop() {
	l.mu.Lock()
	l.wake()
	l.stopped = true
	l.mu.Unlock()
}

// hurry makes the loop look at its wheel again.
func (l *loop) hurry() {
	l.mu.Lock()
	l.wake()
	l.mu.Unlock()
}

// wake ends the loop's wait, or the next one. The lock is held.
func (l *loop) wake() {
	if !l.woken && !l.stopped { // else the descriptor may be another's
		l.woken = true
		one := [8]byte{1}
		unix.Write(l.waker, one[:]) // the counter is far from full: it can't fail
	}
}

// answerCalls answers all calls, and reports whether the loop is to end.
func (l *loop) answerCalls() (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.woken = false
	for len(l.calls) > 0 {
		l.calls, l.seeing = l.seeing[:0], l.calls
		l.mu.Unlock()
		for i, c := range l.seeing {
			l.seeing[i] = nil
			c.answer()
		}
		l.mu.Lock()
	}
	return l.stopped
}
