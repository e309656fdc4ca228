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

// TLS returns nil. Package transport/tls knows the state of the TLS that it puts over a Conn.
func (c *Conn) TLS() *tls.ConnectionState { return nil }

var _ interface {
	transport.Conn
	transport.Pusher
	transport.Queue
} = (*Conn)(nil)

// uses counts the calls under way on a descriptor, so that it is closed by whoever
// uses it last: its number must not go to another socket while a call is under way.
type uses struct{ n atomic.Int32 }

const closedUses = math.MinInt32

// acquire begins a call. It returns false once the descriptor is closed.
func (u *uses) acquire() bool {
	for {
		n := u.n.Load()
		if n < 0 {
			return false
		}
		if u.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends a call, and reports whether the descriptor is to be freed now.
func (u *uses) release() (last bool) { return u.n.Add(-1) == closedUses }

// close lets no further call begin, and counts as one itself, which release ends. It reports
// whether this was the first time, else there is nothing to release, and whether other calls
// are under way.
func (u *uses) close() (first, others bool) {
	for {
		n := u.n.Load()
		if n < 0 {
			return false, false
		}
		if u.n.CompareAndSwap(n, n+1+closedUses) {
			return true, n > 0
		}
	}
}

func (u *uses) closed() bool { return u.n.Load() < 0 }

// otherAddresses are those that a socket.Addr can't hold.
type otherAddresses struct{ local, remote net.Addr }

// noteAddresses keeps what can't be asked of the system later: the peer's address, which
// is logged when the connection is gone.
func (c *Conn) noteAddresses(conn net.Conn) {
	remote, ok := socket.AddrOf(conn.RemoteAddr())
	if _, too := socket.AddrOf(conn.LocalAddr()); ok && too {
		c.remote = remote
	} else {
		c.other = &otherAddresses{conn.LocalAddr(), conn.RemoteAddr()}
	}
}

// RemoteAddr returns the peer's address, also after Close.
func (c *Conn) RemoteAddr() net.Addr {
	if c.other != nil {
		return c.other.remote
	}
	return c.remote.Addr()
}

// LocalAddr returns our address, also after Close.
func (c *Conn) LocalAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.other != nil:
		return c.other.local
	case c.out != nil && c.out.local != (socket.Addr{}):
		return c.out.local.Addr()
	}
	return c.askLocal().Addr()
}

// askLocal asks the system for our address.
func (c *Conn) askLocal() (a socket.Addr) {
	if !c.uses.acquire() {
		return a
	}
	defer c.release()
	return socket.LocalAddr(int(c.fd))
}
