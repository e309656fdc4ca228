package serve

import (
	"context"
	"errors"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
)

// A connSet holds the connections of a server that are open, and counts those that are being opened.
type connSet struct {
	mu      sync.Mutex
	conns   map[*websock.Conn]struct{}
	opening int
	closing bool
	empty   chan struct{} // closed when closing is set and there is no connection left
}

func newConnSet() *connSet {
	return &connSet{conns: map[*websock.Conn]struct{}{}, empty: make(chan struct{})}
}

// begin returns false when the set is closing. Otherwise opened must be called.
func (s *connSet) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.opening++
	return true
}

// opened adds a connection, unless it is nil because it could not be opened. It returns false when the
// set is closing, so that the connection must be closed.
func (s *connSet) opened(conn *websock.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if conn != nil {
		s.conns[conn] = struct{}{}
	}
	s.signalLocked()
	return !s.closing
}

func (s *connSet) remove(conn *websock.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[conn]; ok {
		delete(s.conns, conn)
		s.signalLocked()
	}
}

// signalLocked ends the wait of close if there is no connection left.
func (s *connSet) signalLocked() {
	if s.closing && s.opening == 0 && len(s.conns) == 0 {
		close(s.empty)
	}
}

func (s *connSet) all() []*websock.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.conns))
}

// close closes all connections and waits until they have been removed.
func (s *connSet) close(code websock.CloseCode) {
	s.mu.Lock()
	s.closing = true
	s.signalLocked()
	s.mu.Unlock()
	for _, conn := range s.all() {
		go conn.CloseWith(code, "")
	}
	const limit = 3 * websock.DefaultCloseTimeout // for the write, for the client's answer, and slack
	select {
	case <-s.empty:
	case <-time.After(limit):
	}
}

// broadcast sends text to all connections. It drops a client that doesn't read: on an event
// loop when the client's queue is full, otherwise when it has delayed the others for too long.
func (s *connSet) broadcast(text []byte) {
	const maxDelay = 2 * time.Second
	for _, conn := range s.all() {
		conn.SetSendDeadline(time.Now().Add(maxDelay))
		err := conn.SendText(text)
		var full *websock.LimitError
		switch { // onClose gets any other error
		case errors.As(err, &full):
			conn.CloseWith(websock.ClosePolicyViolation, "too slow")
		case errors.Is(err, os.ErrDeadlineExceeded): // no close frame can follow a partial frame
			conn.Abort(err)
		}
	}
}

// push broadcasts a message at every interval until ctx ends.
func (s *server) push(ctx context.Context) {
	m := payload.New(true, s.MessageSize)
	tick := time.NewTicker(s.Push)
	defer tick.Stop()
	for number := uint64(0); ; number++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		payload.StampTime(m.Content, number, time.Now())
		s.conns.broadcast(m.Content)
	}
}
