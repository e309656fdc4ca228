//go:build linux

package epoll

import (
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
