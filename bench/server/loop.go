//go:build linux

package server

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/bench/rawcall"
)

// listenAddresses are several, so that the connections of previous clients don't exhaust the ports.
const listenAddresses = 8

// A loop serves all its connections from one goroutine. Of servers that are compared it is the bound: it
// does what every server has to do, checks nothing, and knows no better way.
type loop struct {
	epoll     int
	listeners map[int]netip.AddrPort
	conns     []*conn // by descriptor; nil: there is none
	in        []byte
	out       []byte // all answers of a turn
	answers   []answer
	broadcast []byte       // the frame
	took      *turnarounds // nil: nobody has asked yet
	echoed    Count
}

type conn struct {
	session
	fd      int
	unsent  []byte // while not empty, nothing is read
	waiting bool   // for EPOLLOUT
	sentAt  time.Duration
}

// An answer is what a connection is sent after all that are ready were received from.
type answer struct {
	conn *conn
	end  int   // in out; it begins where the previous one ends
	err  error // what is to be done after it
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
		in:        make([]byte, 64<<10),
		broadcast: broadcastFrame(size),
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
	events := make([]unix.EpollEvent, rawcall.Events)
	for {
		n, err := rawcall.Yield(l.epoll, events)
		if err != nil {
			return fmt.Errorf("waiting: %w", err)
		}
		for _, e := range events[:n] {
			l.handle(int(e.Fd))
		}
		l.sendAnswers()
	}
}

func (l *loop) handle(fd int) {
	switch c := l.conn(fd); {
	case c == nil: // a listener, or closed by a previous event
		if l.listeners[fd].IsValid() {
			l.acceptAll(fd)
		}
	case len(c.unsent) > 0:
		l.send(c, nil)
	default:
		l.receive(c)
	}
}

// conn returns the connection of a descriptor, or nil.
func (l *loop) conn(fd int) *conn {
	if fd < len(l.conns) {
		return l.conns[fd]
	}
	return nil
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
		for fd >= len(l.conns) {
			l.conns = append(l.conns, nil)
		}
		l.conns[fd] = &conn{fd: fd}
	}
}

// receive adds an answer to what c has received.
func (l *loop) receive(c *conn) {
	n, errno := rawcall.Raw.Recv(int32(c.fd), l.in)
	if errno == unix.EAGAIN || errno == unix.EINTR {
		return
	}
	if n <= 0 || errno != 0 {
		l.close(c)
		return
	}
	if l.took != nil {
		l.took.received(c)
	}
	for in := l.in[:n]; ; in = nil {
		var echoed Count
		var err error
		l.out, echoed, err = c.feed(in, l.out)
		l.echoed.add(echoed)
		l.answers = append(l.answers, answer{c, len(l.out), err})
		if _, more := err.(toAll); !more {
			return
		}
	}
}

// sendAnswers sends the answers of this turn.
func (l *loop) sendAnswers() {
	start := 0
	for _, a := range l.answers {
		l.sendAnswer(a, l.out[start:a.end])
		start = a.end
	}
	l.out, l.answers = l.out[:0], l.answers[:0]
}

func (l *loop) sendAnswer(a answer, p []byte) {
	if len(p) > 0 {
		l.send(a.conn, p)
		if l.took != nil {
			l.took.sent(a.conn)
		}
	}
	if message, ok := a.err.(toAll); ok {
		l.sendToAll(message.frame)
		return
	}
	switch a.err {
	case nil:
	case errBroadcast:
		l.sendToAll(l.broadcast)
		l.send(a.conn, broadcastDone)
	case errTurnaround:
		l.answerTurnaround(a.conn)
	case errCount:
		l.send(a.conn, l.echoed.response())
	default:
		l.close(a.conn)
	}
}

// answerTurnaround sends the turnaround since the last call, and begins to measure it.
func (l *loop) answerTurnaround(c *conn) {
	if l.took == nil {
		l.took = newTurnarounds()
	}
	l.send(c, l.took.answer())
}

// send sends unsent bytes and p, as far as the socket accepts them.
func (l *loop) send(c *conn, p []byte) {
	if l.conn(c.fd) != c {
		return // closed in this turn
	}
	if len(c.unsent) > 0 {
		p = append(c.unsent, p...)
		c.unsent = nil
	}
	n, errno := rawcall.Raw.Send(int32(c.fd), p)
	switch {
	case errno == unix.EAGAIN:
		n = 0
	case errno != 0:
		l.close(c)
		return
	}
	if n < len(p) {
		c.unsent = bytes.Clone(p[n:])
	}
	l.waitWritable(c, n < len(p))
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
	if l.conn(c.fd) == c {
		l.conns[c.fd] = nil
		unix.Close(c.fd)
	}
}

func (l *loop) sendToAll(frame []byte) {
	for _, c := range l.conns {
		if c != nil && c.open {
			l.send(c, frame)
		}
	}
}
