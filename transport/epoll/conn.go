//go:build linux

package epoll

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
)

// A Conn is a transport.Conn whose descriptor is watched by a loop. It is also a
// transport.Pusher and a transport.Queue.
type Conn struct {
	loop     *loop
	receiver transport.Receiver // set once pushed
	in       *input             // bytes received and not consumed; nil: none, and nobody pulls
	other    *otherAddresses    // nil: remote holds the peer's

	mu            sync.Mutex // of what follows, but see uses, state and place
	out           *output    // bytes to send, and how it ended; nil: nothing waits
	readDeadline  instant
	writeDeadline instant
	fd            int32
	uses          uses
	state         atomic.Uint32
	remote        socket.Addr  // constant
	place         timing.Place // in the wheel of the loop; under the deadlineQueue's lock
	armed         events       // what epoll reports
}

// What state is made of.
const (
	pulled    = 1 << iota // a goroutine pulls: in has been set
	pushed                // the loop calls the receiver
	paused                // but not for now
	ended                 // the receiver wants no more
	lingering             // what comes is discarded
	peerEnded             // while lingering: nothing more comes
	shutting              // our direction ends behind what is queued
	left                  // the loop has done with the connection
	called                // the loop was asked to answer
	queues                // bytes wait for the peer
	yielded               // the loop answers in its next turn
	broken                // and never leave: the reader has to be told
)

func (c *Conn) is(state uint32) bool { return c.state.Load()&state != 0 }

// events are what epoll is asked for.
type events uint8

const (
	noEvents    events = iota
	readable           // as long as there is something to read
	writable           // as long as there is room
	both               // either
	eachArrival        // once for all that has come
)

var masks = [...]uint32{
	readable:    unix.EPOLLIN,
	writable:    unix.EPOLLOUT,
	both:        unix.EPOLLIN | unix.EPOLLOUT,
	eachArrival: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | edge,
}

// wanted returns what the connection waits for.
func (c *Conn) wanted() (wanted events) {
	s := c.state.Load()
	if s&(pushed|lingering) == 0 {
		return eachArrival
	}
	if s&peerEnded == 0 && (s&lingering != 0 || s&(paused|ended) == 0) {
		wanted |= readable
	}
	if c.out.queued() > 0 {
		wanted |= writable
	}
	return wanted
}

// arm tells epoll what the connection waits for. The lock is held.
func (c *Conn) arm() error {
	wanted := c.wanted()
	if wanted == c.armed || !c.uses.acquire() {
		return nil
	}
	defer c.release()
	op := unix.EPOLL_CTL_MOD
	switch {
	case c.armed == noEvents:
		op = unix.EPOLL_CTL_ADD
	case wanted == noEvents: // else a hang-up would be reported for ever
		op = unix.EPOLL_CTL_DEL
	}
	if err := c.loop.poller.control(op, int(c.fd), masks[wanted]); err != nil {
		return err
	}
	c.armed = wanted
	return nil
}

// release ends a call on the descriptor.
func (c *Conn) release() {
	if c.uses.release() {
		c.free()
	}
}

// free closes the descriptor. Nobody uses it any more.
func (c *Conn) free() {
	open.set(int(c.fd), nil)
	if c.armed != noEvents {
		c.loop.poller.control(unix.EPOLL_CTL_DEL, int(c.fd), 0) // should somebody hold a duplicate
	}
	unix.Close(int(c.fd))
	c.loop.group.detach(c.loop)
}

// see takes events from the loop.
func (c *Conn) see(events uint32) {
	moved := events&^unix.EPOLLIN != 0 && c.flush()
	s := c.state.Load()
	if events&^unix.EPOLLOUT == 0 && s&peerEnded == 0 {
		if moved && s&(pushed|paused|ended|lingering|yielded) == pushed {
			c.deliverKept()
		}
		return
	}
	switch {
	case s&lingering != 0:
		c.discard()
	case s&pushed == 0:
		if s&pulled != 0 {
			c.in.arrived(events)
		}
	case s&(ended|yielded) != 0, c.uses.closed(): // closed: the loop was asked to answer
	case s&paused != 0:
		c.rearm()
	default:
		c.receive()
	}
}

// rearm is arm for the loop, which ends the connection if the system refuses: nothing that
// comes would be noticed any more.
func (c *Conn) rearm() {
	c.mu.Lock()
	err := c.arm()
	c.mu.Unlock()
	switch s := c.state.Load(); {
	case err == nil:
	case s&lingering != 0:
		c.stopLingering(err)
	case s&ended != 0:
		c.Close()
	default:
		c.over(err)
	}
}

// SetReadDeadline is that of net.Conn. After Linger it returns net.ErrClosed.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.is(lingering) || c.uses.closed() {
		return net.ErrClosed
	}
	c.readDeadline = instantOf(t)
	if c.is(pushed) {
		c.schedule()
	} else if c.is(pulled) {
		c.in.wake()
	}
	return nil
}

// SetWriteDeadline is that of net.Conn, also for what is queued.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.uses.closed() {
		return net.ErrClosed
	}
	c.writeDeadline = instantOf(t)
	c.schedule()
	if c.out != nil {
		c.out.tell() // those who wait for room keep the deadline
	}
	return nil
}

// schedule puts the connection on the loop's wheel if a deadline matters to the loop. The
// lock is held.
func (c *Conn) schedule() {
	if c.uses.closed() { // else its last deadline would keep it in memory
		return
	}
	at := instant(0)
	if c.is(pushed | lingering) {
		at = c.readDeadline
	}
	if c.out.queued() > 0 && c.writeDeadline != 0 && (at == 0 || c.writeDeadline < at) {
		at = c.writeDeadline
	}
	if at != 0 && c.loop.deadlines.add(c, at) {
		c.loop.hurry()
	}
}

// expire sees to deadlines that have passed.
func (c *Conn) expire() {
	c.mu.Lock()
	writing := c.out.queued() > 0 && c.writeDeadline.passed()
	if writing {
		c.failQueue(os.ErrDeadlineExceeded)
	}
	reading := c.readDeadline.passed() && c.is(pushed|lingering)
	if !reading {
		c.schedule()
	}
	c.mu.Unlock()
	switch s := c.state.Load(); {
	case s&lingering != 0:
		if reading || writing {
			c.stopLingering(os.ErrDeadlineExceeded)
		}
	case s&pushed == 0 || s&ended != 0:
	case reading:
		c.over(os.ErrDeadlineExceeded)
	case writing && s&paused == 0:
		c.deliverKept()
		c.rearm()
	}
}

// TLS returns nil. Package transport/tls knows the state of the TLS that it puts over a Conn.
func (c *Conn) TLS() *tls.ConnectionState { return nil }

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Conn)(nil)
