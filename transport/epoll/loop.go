//go:build linux

package epoll

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
)

const (
	// readSize is how much is read at once. The memory is shared by all connections of
	// a loop, so it can be generous.
	readSize = 128 << 10

	// edge is unix.EPOLLET in the type that EpollEvent has.
	edge = 1 << 31

	// restless is how long a loop runs on before it lets other goroutines run. Those that
	// compute without end run for 10 ms then, so less would leave too little to the loop.
	restless = instant(500 * time.Microsecond)
)

// A loop waits for events of its connections and sees to them, one after another, in
// one goroutine.
type loop struct {
	group *group
	at    int // place in the group
	conns int // attached; under the group's lock

	poller    *poller
	waker     int // eventfd
	buffer    *buffer.Buffer
	memory    []byte // what is read into, the buffer's
	in        input  // of the connection that is seen to
	deadlines deadlineQueue
	turn      turn
	rested    instant // when other goroutines could run last

	mu      sync.Mutex
	calls   []*Conn // that want to be seen to without an event
	woken   bool    // the waker has an event that was not taken
	stopped bool
}

// A turn is one batch of what there is to do, and how far it was done. It belongs to the
// loop's goroutine, and to the next one if a Handler ends that.
type turn struct {
	begun   bool
	events  []unix.EpollEvent
	expired []*Conn
	called  bool // by the waker
	answers queue
	last    bool // the loop is to end

	serving *Conn   // whose receiver is being called
	yielded []*Conn // that have more to do in the next turn
}

// A queue is connections that are seen to one after another.
type queue struct {
	conns []*Conn
	taken int
}

func (q *queue) add(conns []*Conn) { q.conns = append(q.conns, conns...) }

// next takes a connection out, or returns nil.
func (q *queue) next() *Conn {
	if q.taken == len(q.conns) {
		q.conns, q.taken = q.conns[:0], 0
		return nil
	}
	c := q.conns[q.taken]
	q.conns[q.taken] = nil
	q.taken++
	return c
}

func newLoop(g *group, at int) (*loop, error) {
	p, err := newPoller(g.ctl)
	if err != nil {
		return nil, err
	}
	waker, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		p.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{group: g, at: at, poller: p, waker: waker, deadlines: deadlineQueue{clock: now}}
	if err := p.control(unix.EPOLL_CTL_ADD, waker, unix.EPOLLIN|edge); err != nil {
		p.close()
		unix.Close(waker)
		return nil, err
	}
	l.buffer = buffer.Get(readSize)
	l.memory = l.buffer.B[:readSize]
	return l, nil
}

// run sees to connections until the loop is stopped.
func (l *loop) run() {
	defer func() {
		if !l.turn.last { // a Handler has ended the goroutine
			go l.goOn()
		}
	}()
	for !l.turn.last {
		l.takeTurn()
	}
	l.buffer.Put()
	l.poller.close()
	unix.Close(l.waker)
}

// goOn is run where another goroutine was ended by a Handler. The connection of that is over.
func (l *loop) goOn() {
	if c := l.turn.serving; c != nil {
		l.turn.serving = nil
		c.end()
	}
	l.run()
}

// takeTurn takes one batch of what there is to do, or goes on with one that was begun.
func (l *loop) takeTurn() {
	t := &l.turn
	if !t.begun {
		t.begun = true
		t.events = l.events()
	}
	for len(t.events) > 0 {
		e := t.events[0]
		t.events = t.events[1:]
		if e.Fd == int32(l.waker) {
			t.called = true
		} else if c := open.get(int(e.Fd)); c != nil && c.loop == l {
			c.see(e.Events)
		}
	}
	if len(t.expired) == 0 {
		t.expired = l.deadlines.due()
	}
	for len(t.expired) > 0 {
		c := t.expired[0]
		t.expired = t.expired[1:]
		c.expire()
	}
	if t.called {
		t.called = false
		l.takeCalls()
	}
	t.answers.add(t.yielded)
	clear(t.yielded)
	t.yielded = t.yielded[:0]
	for c := t.answers.next(); c != nil; c = t.answers.next() {
		c.answer()
	}
	t.begun = false
}

// events waits for events, if there is nothing else to do.
//
// As long as there is, the loop doesn't park, and the runtime would let it run for 10 ms
// before goroutines that share its processor have theirs.
func (l *loop) events() []unix.EpollEvent {
	if now()-l.rested > restless {
		runtime.Gosched()
		l.rested = now()
	}
	if len(l.turn.yielded) > 0 {
		return l.poller.poll()
	}
	events, parked := l.poller.wait(l.deadlines.wake())
	if parked {
		l.rested = now()
	}
	return events
}

// call has the loop answer c soon. A loop that has no connections left has nothing to
// answer.
func (l *loop) call(c *Conn) {
	l.mu.Lock()
	l.calls = append(l.calls, c)
	l.wake()
	l.mu.Unlock()
}

// takeCalls has this turn answer the calls.
func (l *loop) takeCalls() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.woken = false
	l.turn.answers.add(l.calls)
	clear(l.calls)
	l.calls = l.calls[:0]
	l.turn.last = l.stopped
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

// A group is a set of loops over which connections are spread. A loop runs as long as
// it has connections.
type group struct {
	size int // 0: one loop for each CPU that Go uses
	ctl  ctl // nil: unix.EpollCtl

	mu    sync.Mutex
	loops []*loop // nil: not running
	turn  int
}

// attach makes a connection of the duplicate fd of conn's descriptor. It takes the place that
// next has counted.
func (l *loop) attach(fd int, conn net.Conn) *Conn {
	c := &Conn{loop: l, fd: int32(fd)}
	c.noteAddresses(conn)
	open.set(fd, c)
	return c
}

// next returns a running loop with one connection more, each in its turn. That may be one that
// is still to come, or never does: then detach takes it back.
func (g *group) next() (*loop, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	size := g.size
	if size == 0 {
		size = runtime.GOMAXPROCS(0)
	}
	for len(g.loops) < size {
		g.loops = append(g.loops, nil)
	}
	g.turn = (g.turn + 1) % size
	at := g.turn
	if g.loops[at] == nil {
		l, err := newLoop(g, at)
		if err != nil {
			return nil, err
		}
		g.loops[at] = l
		go l.run()
	}
	g.loops[at].conns++
	return g.loops[at], nil
}

// detach takes a connection from its loop, which stops with the last one.
func (g *group) detach(l *loop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.conns--
	if l.conns > 0 {
		return
	}
	g.loops[l.at] = nil
	l.stop()
}

// A table finds a connection by its descriptor, as an event names it. It also keeps
// connections alive that only the kernel knows.
type table [1 << 14]atomic.Pointer[page]

// A page has the connections of a range of descriptors.
type page [1 << 10]atomic.Pointer[Conn]

// open has the connections of the process.
var open table

// maxDescriptor is the largest that a table has a place for. The kernel's own limit is
// far below, unless somebody raised it.
const maxDescriptor = len(table{})*len(page{}) - 1

// checkDescriptor returns an error for a descriptor that has no place in a table.
func checkDescriptor(fd int) error {
	if fd > maxDescriptor {
		return fmt.Errorf("websock: descriptor %d is above %d", fd, maxDescriptor)
	}
	return nil
}

// set puts a connection in its place; nil empties it.
func (t *table) set(fd int, c *Conn) {
	p := &t[fd/len(page{})]
	for p.Load() == nil {
		p.CompareAndSwap(nil, new(page))
	}
	p.Load()[fd%len(page{})].Store(c)
}

func (t *table) get(fd int) *Conn {
	p := t[fd/len(page{})].Load()
	if p == nil {
		return nil
	}
	return p[fd%len(page{})].Load()
}
