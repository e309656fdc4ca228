package main

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// A connSet has a server's open connections.
type connSet struct {
	mu      sync.Mutex
	conns   map[*engine.Conn]struct{}
	closing bool
	empty   chan struct{} // closed when the last one is gone after close
}

func newConnSet() *connSet {
	return &connSet{conns: map[*engine.Conn]struct{}{}, empty: make(chan struct{})}
}

// add returns false when no more are taken.
func (s *connSet) add(conn *engine.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing {
		s.conns[conn] = struct{}{}
	}
	return !s.closing
}

func (s *connSet) remove(conn *engine.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	if s.closing && len(s.conns) == 0 {
		close(s.empty)
	}
}

func (s *connSet) all() []*engine.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

// close closes all connections and waits until they are gone.
func (s *connSet) close(code engine.CloseCode) {
	s.mu.Lock()
	s.closing = true
	n := len(s.conns)
	s.mu.Unlock()
	if n == 0 {
		return
	}
	for _, conn := range s.all() {
		go conn.CloseWith(code, "")
	}
	const limit = 3 * engine.DefaultCloseTimeout // to write, to wait for the client, and some more
	select {
	case <-s.empty:
	case <-time.After(limit):
	}
}
