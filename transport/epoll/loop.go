//go:build linux

package epoll

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/ring"
	"github.com/seed004e8d11/websock/internal/timing"
)

const (
	// readSize is how much is read at once. All connections of a loop share the buffer, so its
	// size does not multiply.
	readSize = 128 << 10

	// yieldInterval is how long a loop runs before it lets other goroutines run. One that
	// computes without end then runs for 10 ms, so a shorter interval would leave too little to
	// the loop.
	yieldInterval = timing.Instant(500 * time.Microsecond)
)

// A loop waits for events of its connections and handles them, one after another, in one
// goroutine.
type loop struct {
	group *loopGroup
	index int // in the group
	conns int // attached, or about to be; under the group's lock

	poller     *poller
	wakeFd     int // an eventfd that ends the poller's wait
	readBuffer *buffer.Buffer
	readBuf    []byte    // memory of readBuffer
	ring       batchRing // nil: each connection has its own system calls
	slots      []byte    // what the ring receives
	minBatch   int       // how many connections share a system call at least
	in         input     // of the connection whose receiver is being called
	behind     behind
	deadlines  deadlineQueue
	turn       turn
	lastYield  timing.Instant // when other goroutines could run last

	mu          sync.Mutex
	scheduled   []*Conn // to be run without an event
	wakePending bool    // wakeFd has an event that was not taken
	stopped     bool
}

// A turn is one round of a loop, and how far it has come. It belongs to the loop's goroutine, and
// to the next one if a Handler ends that.
type turn struct {
	begun     bool
	arrivals  arrivals
	expired   []*Conn
	woken     bool // by wakeFd
	scheduled connQueue
	last      bool // the loop ends after this turn

	calling *Conn   // whose receiver is being called
	yielded []*Conn // to be run in the next turn
}

// A connQueue is a queue of connections.
type connQueue struct {
	conns []*Conn
	taken int
}

func (q *connQueue) add(conns []*Conn) { q.conns = append(q.conns, conns...) }

// next takes the first connection, or returns nil.
func (q *connQueue) next() *Conn {
	if q.taken == len(q.conns) {
		q.conns, q.taken = q.conns[:0], 0
		return nil
	}
	c := q.conns[q.taken]
	q.conns[q.taken] = nil
	q.taken++
	return c
}

func newLoop(g *loopGroup, index int) (*loop, error) {
	p, err := newPoller(g.ctl)
	if err != nil {
		return nil, err
	}
	wakeFd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		p.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &loop{group: g, index: index, poller: p, wakeFd: wakeFd, deadlines: deadlineQueue{clock: timing.Now}}
	if err := p.control(unix.EPOLL_CTL_ADD, wakeFd, unix.EPOLLIN|edgeTriggered); err != nil {
		p.close()
		unix.Close(wakeFd)
		return nil, err
	}
	l.readBuffer = buffer.Get(readSize)
	l.readBuf = l.readBuffer.B[:readSize]
	l.behind.init()
	l.minBatch = cmp.Or(g.minBatch, minBatch)
	if r, err := g.openRing(); err == nil {
		l.ring, l.slots = r, make([]byte, maxEvents*slotDistance)
	}
	return l, nil
}

// run handles events until the loop is stopped.
func (l *loop) run() {
	defer func() {
		if !l.turn.last { // a Handler has ended the goroutine
			go l.resume()
		}
	}()
	for !l.turn.last {
		l.runTurn()
	}
	l.behind.watch.Stop()
	l.readBuffer.Put()
	if l.ring != nil {
		l.ring.Close()
	}
	l.poller.close()
	unix.Close(l.wakeFd)
}

// resume is run after a Handler has ended the loop's goroutine. It finishes the connection of that
// Handler, and goes on with the turn.
func (l *loop) resume() {
	if c := l.turn.calling; c != nil {
		l.turn.calling = nil
		c.keepInput()
		c.finish()
	}
	l.run()
}

// runTurn does what there is to do, or goes on with a turn that was begun.
func (l *loop) runTurn() {
	t := &l.turn
	if !t.begun {
		t.begun = true
		l.collect()
	}
	l.handleArrivals()
	if len(t.expired) == 0 {
		t.expired = l.deadlines.due()
	}
	for len(t.expired) > 0 {
		c := t.expired[0]
		t.expired = t.expired[1:]
		c.checkDeadlines()
	}
	if t.woken {
		t.woken = false
		l.takeScheduled()
	}
	t.scheduled.add(t.yielded)
	clear(t.yielded)
	t.yielded = t.yielded[:0]
	for c := t.scheduled.next(); c != nil; c = t.scheduled.next() {
		c.runScheduled()
	}
	t.begun = false
}

// waitEvents waits for events, unless there is something else to do.
//
// A loop that has always something to do doesn't park, and the runtime would let it run for 10 ms
// before other goroutines of its processor, so it yields.
func (l *loop) waitEvents() []unix.EpollEvent {
	if timing.Now()-l.lastYield > yieldInterval {
		runtime.Gosched()
		l.lastYield = timing.Now()
	}
	if len(l.turn.yielded) > 0 {
		return l.poller.poll()
	}
	events, parked := l.poller.wait(l.deadlines.next())
	if parked {
		l.lastYield = timing.Now()
	}
	return events
}

// schedule has the loop call c.runScheduled soon. A loop without connections doesn't.
func (l *loop) schedule(c *Conn) {
	l.mu.Lock()
	l.scheduled = append(l.scheduled, c)
	l.wakeupLocked()
	l.mu.Unlock()
}

// takeScheduled adds the scheduled connections to this turn.
func (l *loop) takeScheduled() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakePending = false
	l.turn.scheduled.add(l.scheduled)
	clear(l.scheduled)
	l.scheduled = l.scheduled[:0]
	l.turn.last = l.stopped
}

// stop ends the loop after it has run all that is scheduled.
func (l *loop) stop() {
	l.mu.Lock()
	l.wakeupLocked()
	l.stopped = true
	l.mu.Unlock()
}

// wakeup makes the loop begin a turn, and wait for the next deadline then.
func (l *loop) wakeup() {
	l.mu.Lock()
	l.wakeupLocked()
	l.mu.Unlock()
}

func (l *loop) wakeupLocked() {
	if !l.wakePending && !l.stopped { // after stop, the descriptor may be another's
		l.wakePending = true
		one := [8]byte{1}
		unix.Write(l.wakeFd, one[:]) // can't fail: the counter is far from its maximum
	}
}

// A loopGroup is a set of loops over which connections are spread. A loop runs as long as it has
// connections.
type loopGroup struct {
	size     int                       // 0: one loop for each CPU that Go uses
	ctl      ctlFunc                   // nil: unix.EpollCtl
	ring     func() (batchRing, error) // nil: a ring.Ring
	minBatch int                       // 0: the constant

	mu         sync.Mutex
	loops      []*loop // nil: it doesn't run
	last       int     // the index of the loop acquired last
	waitPoints []*waitPoint
}

// A batchRing is a ring.Ring, or what a test puts in its place.
type batchRing interface {
	Recv(fd int, p []byte, tag uint32)
	Send(fd int, p []byte, tag uint32)
	Submit() error
	Next() (ring.Result, bool)
	Close()
}

func (g *loopGroup) openRing() (batchRing, error) {
	if g.ring != nil {
		return g.ring()
	}
	return ring.Open(maxEvents)
}

// acquire returns a running loop for another connection, each loop in turn. The connection counts
// from now on; release takes it back.
func (g *loopGroup) acquire() (*loop, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	size := g.size
	if size == 0 {
		size = runtime.GOMAXPROCS(0)
	}
	for len(g.loops) < size {
		g.loops = append(g.loops, nil)
	}
	g.last = (g.last + 1) % size
	index := g.last
	if g.loops[index] == nil {
		l, err := newLoop(g, index)
		if err != nil {
			return nil, err
		}
		g.loops[index] = l
		go l.run()
	}
	g.loops[index].conns++
	return g.loops[index], nil
}

// release takes a connection from its loop, and stops the loop after the last one. Without loops, no
// waitPoint is kept.
func (g *loopGroup) release(l *loop) {
	g.mu.Lock()
	defer g.mu.Unlock()
	l.conns--
	if l.conns > 0 {
		return
	}
	g.loops[l.index] = nil
	l.stop()
	if !slices.ContainsFunc(g.loops, func(l *loop) bool { return l != nil }) {
		g.closeWaitPointsLocked()
	}
}

// An fdTable finds a connection by its descriptor, which is what an event has. It also keeps
// connections in memory that only the kernel refers to.
type fdTable [1 << 14]atomic.Pointer[fdPage]

// An fdPage has the connections of a range of descriptors.
type fdPage [1 << 10]atomic.Pointer[Conn]

// connsByFD has the connections of the process.
var connsByFD fdTable

// maxFd is the largest descriptor for which an fdTable has a place. The kernel's own limit is far
// below unless it was raised.
const maxFd = len(fdTable{})*len(fdPage{}) - 1

// checkFd returns an error for a descriptor that has no place in an fdTable.
func checkFd(fd int) error {
	if fd > maxFd {
		return fmt.Errorf("websock: descriptor %d is above %d", fd, maxFd)
	}
	return nil
}

// set puts c in the place of fd; nil empties it.
func (t *fdTable) set(fd int, c *Conn) {
	p := &t[fd/len(fdPage{})]
	for p.Load() == nil {
		p.CompareAndSwap(nil, new(fdPage))
	}
	p.Load()[fd%len(fdPage{})].Store(c)
}

// get returns the connection of fd, or nil.
func (t *fdTable) get(fd int) *Conn {
	p := t[fd/len(fdPage{})].Load()
	if p == nil {
		return nil
	}
	return p[fd%len(fdPage{})].Load()
}
