//go:build linux

package epoll

import (
	"crypto/tls"
	"math"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// A Conn is a transport.Conn whose descriptor is watched by a loop. It is also a transport.Pusher
// and a transport.Queue.
//
// Its size counts, since a process may have a million of them: what only a busy connection needs is
// in input and output, which an idle one doesn't have. What every message needs is in the first of
// its two cache lines.
type Conn struct {
	loop     *loop
	receiver transport.Receiver // set by Push
	in       *input             // of the reader; nil: no bytes are kept, and no goroutine reads

	mu     sync.Mutex    // of the fields below, but for those that say otherwise
	out    *output       // nil: nothing is queued
	fd     int32         // constant
	ref    fdRef         // atomic
	state  atomic.Uint32 // of the flags below
	armed  events        // what epoll reports
	behind uint8         // the place of its bytes among those that the loop writes behind, from 1; 0: none
	place  timing.Place  // in the wheel of the loop, under the lock of its deadlineQueue

	readDeadline  timing.Instant
	writeDeadline timing.Instant
	otherAddrs    *otherAddrs // constant; nil: a socket.Addr holds the addresses
	remote        socket.Addr // constant
	_             [22]byte
}

// The flags of a Conn's state. They are atomic since the loop reads them for every event.
const (
	pulled      = 1 << iota // a goroutine reads: in belongs to it
	pushed                  // Push was called: the loop calls the receiver
	paused                  // until Resume, the receiver isn't called
	finished                // the receiver isn't called any more
	lingering               // what arrives is discarded
	peerClosed              // while lingering: the peer has ended the stream
	writeClosed             // CloseWrite was called: our direction ends after the queue
	detached                // the loop has ended its use of the descriptor
	scheduled               // the loop calls runScheduled soon
	queueing                // bytes are queued
	yielded                 // the loop calls runScheduled in its next turn
	sendFailed              // queued bytes can't be sent, and the reader doesn't know yet
	bulky                   // more arrives at once than a slot takes
	limited                 // there is a writeDeadline
)

// has reports whether any of the flags is set.
func (c *Conn) has(flags uint32) bool { return c.state.Load()&flags != 0 }

// newConn makes a connection of fd, conn's descriptor or a duplicate of that. The caller has acquired the
// loop, and the Conn owns early.
func newConn(l *loop, fd int, conn net.Conn, early []byte) *Conn {
	c := &Conn{loop: l, fd: int32(fd)}
	c.setAddrs(conn)
	if len(early) > 0 {
		c.in = &input{view: early}
	}
	connsByFD.set(fd, c)
	return c
}

// events are what epoll is asked to report.
type events uint8

const (
	noEvents    events = iota
	readable           // as long as there is something to read
	writable           // as long as there is room to write
	both               // readable and writable
	eachArrival        // once for all that has arrived
)

var epollEvents = [...]uint32{
	readable:    unix.EPOLLIN,
	writable:    unix.EPOLLOUT,
	both:        unix.EPOLLIN | unix.EPOLLOUT,
	eachArrival: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | edgeTriggered,
}

// wantedLocked returns the events that the connection waits for.
func (c *Conn) wantedLocked() (wanted events) {
	s := c.state.Load()
	if s&(pushed|lingering) == 0 {
		return eachArrival
	}
	if s&peerClosed == 0 && (s&lingering != 0 || s&(paused|finished) == 0) {
		wanted |= readable
	}
	if c.out.queued() > 0 {
		wanted |= writable
	}
	return wanted
}

// armLocked tells epoll which events the connection waits for.
func (c *Conn) armLocked() error {
	wanted := c.wantedLocked()
	if wanted == c.armed || c.ref.closed() {
		return nil
	}
	op := unix.EPOLL_CTL_MOD
	switch {
	case c.armed == noEvents:
		op = unix.EPOLL_CTL_ADD
	case wanted == noEvents: // epoll would still report a hang-up, again and again
		op = unix.EPOLL_CTL_DEL
	}
	if err := c.loop.poller.control(op, int(c.fd), epollEvents[wanted]); err != nil {
		return err
	}
	c.armed = wanted
	return nil
}

// rearm is armLocked for the loop. If the system refuses, it ends the connection, since nothing
// that arrives would be noticed any more.
func (c *Conn) rearm() {
	c.mu.Lock()
	err := c.armLocked()
	c.mu.Unlock()
	switch s := c.state.Load(); {
	case err == nil:
	case s&lingering != 0:
		c.finishLinger(err)
	case s&finished != 0:
		c.Close()
	default:
		c.endReceiver(err)
	}
}

// handle is called by the loop with what epoll has reported.
func (c *Conn) handle(a *arrival) {
	events := a.events
	drained := events&^unix.EPOLLIN != 0 && c.flush()
	s := c.state.Load()
	if events&^unix.EPOLLOUT == 0 && s&peerClosed == 0 {
		if drained && s&(pushed|paused|finished|lingering|yielded) == pushed {
			c.deliverKept()
		}
		return
	}
	switch {
	case s&lingering != 0:
		c.discardInput(a)
	case s&pushed == 0:
		if s&pulled != 0 {
			c.in.onEvents(events)
		}
	case s&(finished|yielded) != 0, c.ref.closed(): // after Close, runScheduled ends the receiver
	case s&paused != 0:
		c.keep(a)
		c.rearm()
	default:
		c.receive(a)
	}
}

// An fdRef counts the calls under way on a descriptor. The last of them closes it: its number must
// not be given to another socket while a call is under way.
type fdRef struct{ n atomic.Int32 }

// closedRefs is added to the count by close.
const closedRefs = math.MinInt32

// acquire begins a call. It returns false after close.
func (r *fdRef) acquire() bool {
	for {
		n := r.n.Load()
		if n < 0 {
			return false
		}
		if r.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends a call, and reports whether the descriptor has to be closed now.
func (r *fdRef) release() (last bool) { return r.n.Add(-1) == closedRefs }

// close makes acquire fail from now on. If it is the first close, it counts as a call itself, which
// the caller has to release. others says whether other calls are under way.
func (r *fdRef) close() (first, others bool) {
	for {
		n := r.n.Load()
		if n < 0 {
			return false, false
		}
		if r.n.CompareAndSwap(n, n+1+closedRefs) {
			return true, n > 0
		}
	}
}

func (r *fdRef) closed() bool { return r.n.Load() < 0 }

// releaseFd ends a call on the descriptor, and closes it after the last one.
func (c *Conn) releaseFd() {
	if c.ref.release() {
		c.closeFd()
	}
}

func (c *Conn) closeFd() {
	connsByFD.set(int(c.fd), nil)
	if c.armed != noEvents {
		c.loop.poller.control(unix.EPOLL_CTL_DEL, int(c.fd), 0) // in case another process has a duplicate
	}
	unix.Close(int(c.fd))
	c.loop.group.release(c.loop)
}

// otherAddrs are addresses that a socket.Addr can't hold.
type otherAddrs struct{ local, remote net.Addr }

// setAddrs keeps the remote address, since the system no longer knows it when the peer has gone. The
// local one can be asked for until Close.
func (c *Conn) setAddrs(conn net.Conn) {
	if d, ok := conn.(*dialed); ok {
		c.remote = d.remote
		return
	}
	remote, ok := socket.AddrOf(conn.RemoteAddr())
	if _, too := socket.AddrOf(conn.LocalAddr()); ok && too {
		c.remote = remote
	} else {
		c.otherAddrs = &otherAddrs{conn.LocalAddr(), conn.RemoteAddr()}
	}
}

// RemoteAddr returns the connection's remote address, also after Close.
func (c *Conn) RemoteAddr() net.Addr {
	if c.otherAddrs != nil {
		return c.otherAddrs.remote
	}
	return c.remote.Addr()
}

// LocalAddr returns the connection's local address, also after Close.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.otherAddrs != nil:
		return c.otherAddrs.local
	case c.out != nil && c.out.local != (socket.Addr{}):
		return c.out.local.Addr()
	}
	return c.systemLocalAddr().Addr()
}

// systemLocalAddr asks the system for the local address.
func (c *Conn) systemLocalAddr() (a socket.Addr) {
	if !c.ref.acquire() {
		return a
	}
	defer c.releaseFd()
	return socket.LocalAddr(int(c.fd))
}

// TLS returns nil. Package transport/tls knows the state of the TLS that it puts over a Conn.
func (c *Conn) TLS() *tls.ConnectionState { return nil }

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Conn)(nil)
