//go:build linux

package epoll

import (
	"fmt"
	"net"
	"runtime"
	"sync"
)

// A group is a set of loops over which connections are spread. A loop runs as long as
// it has connections.
type group struct {
	size int // 0: one loop for each CPU that Go uses
	ctl  ctl // nil: unix.EpollCtl

	mu    sync.Mutex
	loops []*loop // nil: not running
	turn  int
}

// attach gives a descriptor to one of the loops.
func (g *group) attach(fd int, conn net.Conn) (*Conn, error) {
	if fd > maxDescriptor {
		return nil, fmt.Errorf("websock: descriptor %d is above %d", fd, maxDescriptor)
	}
	l, err := g.next()
	if err != nil {
		return nil, err
	}
	c := &Conn{loop: l, fd: int32(fd)}
	c.noteAddresses(conn)
	open.set(fd, c)
	return c, nil
}

// next returns a running loop with one connection more, each in its turn.
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
