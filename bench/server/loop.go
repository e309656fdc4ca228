//go:build linux

package server

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// listenAddresses are several, so that the connections of previous clients don't exhaust the ports.
const listenAddresses = 8

// A loop serves all its connections from one goroutine.
type loop struct {
	epoll     int
	listeners map[int]netip.AddrPort
	conns     map[int]*conn
	in, out   []byte
	broadcast []byte // the frame
	took      *turnarounds
}

type conn struct {
	session
	fd      int
	unsent  []byte // while not empty, nothing is read
	waiting bool   // for EPOLLOUT
	sentAt  time.Duration
}

// newLoop returns a loop that listens. size is the size of the payload of a broadcast.
func newLoop(size int) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &loop{
		epoll:     epoll,
		listeners: make(map[int]netip.AddrPort),
		conns:     make(map[int]*conn),
		in:        make([]byte, 64<<10),
		out:       make([]byte, 0, 128<<10),
		broadcast: broadcastFrame(size),
		took:      newTurnarounds(),
	}
	for i := range listenAddresses {
		if err := l.listen([4]byte{127, 0, 0, byte(1 + i)}); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *loop) listen(ip [4]byte) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip}); err != nil {
		return err
	}
	if err := unix.Listen(fd, 4096); err != nil {
		return err
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	port := bound.(*unix.SockaddrInet4).Port
	l.listeners[fd] = netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(port))
	return l.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN)
}

// addresses returns the addresses that the loop listens on.
func (l *loop) addresses() (all []string) {
	for _, a := range l.listeners {
		all = append(all, a.String())
	}
	slices.Sort(all)
	return all
}

func (l *loop) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// run serves until waiting fails.
func (l *loop) run() error {
	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("waiting: %w", err)
		}
		for _, e := range events[:n] {
			l.handle(int(e.Fd))
		}
	}
}

func (l *loop) handle(fd int) {
	c := l.conns[fd]
	switch {
	case l.listeners[fd].IsValid():
		l.acceptAll(fd)
	case c == nil: // closed by a previous event
	case len(c.unsent) > 0:
		l.send(c, nil)
	default:
		l.receive(c)
	}
}

func (l *loop) acceptAll(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // EAGAIN, or the client has closed
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		// When a client exits, thousands of connections are closed. Resets avoid TIME_WAIT.
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		if l.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN) != nil {
			unix.Close(fd)
			continue
		}
		l.conns[fd] = &conn{fd: fd}
	}
}

func (l *loop) receive(c *conn) {
	n, err := unix.Read(c.fd, l.in)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if n <= 0 {
		l.close(c)
		return
	}
	l.took.received(c)
	out, err := c.feed(l.in[:n], l.out[:0])
	l.out = out[:0]
	if l.send(c, out); len(out) > 0 {
		l.took.sent(c)
	}
	switch err {
	case nil:
	case errBroadcast:
		l.broadcastFor(c)
	case errTurnaround:
		l.send(c, l.took.answer())
	default:
		l.close(c)
	}
}

// send sends unsent bytes and p, as far as the socket accepts them.
func (l *loop) send(c *conn, p []byte) {
	if len(c.unsent) > 0 {
		p = append(c.unsent, p...)
	}
	n := 0
	if len(p) > 0 {
		var err error
		if n, err = unix.Write(c.fd, p); err != nil {
			if err != unix.EAGAIN {
				l.close(c)
				return
			}
			n = 0
		}
	}
	if c.unsent = nil; n < len(p) {
		c.unsent = bytes.Clone(p[n:])
	}
	l.waitWritable(c, len(c.unsent) > 0)
}

func (l *loop) waitWritable(c *conn, wait bool) {
	if c.waiting == wait {
		return
	}
	c.waiting = wait
	events := uint32(unix.EPOLLIN)
	if wait {
		events = unix.EPOLLOUT
	}
	if l.watch(unix.EPOLL_CTL_MOD, c.fd, events) != nil {
		l.close(c)
	}
}

func (l *loop) close(c *conn) {
	if l.conns[c.fd] == c {
		delete(l.conns, c.fd)
		unix.Close(c.fd)
	}
}

// broadcastFor sends the broadcast and then responds to the asker.
func (l *loop) broadcastFor(asker *conn) {
	for _, c := range l.conns {
		if c.open {
			l.send(c, l.broadcast)
		}
	}
	l.send(asker, broadcastDone)
}
