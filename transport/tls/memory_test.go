package tls

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// A stream is one direction of a connection in memory. It takes any number of bytes.
type stream struct {
	mu       sync.Mutex
	moved    *sync.Cond
	data     []byte
	opening  []byte // what was written first
	err      error  // after data
	deadline time.Time
	left     bool // its reader is to leave
}

func newStream() *stream {
	s := &stream{}
	s.moved = sync.NewCond(&s.mu)
	return s
}

// change does f and tells who waits.
func (s *stream) change(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	s.moved.Broadcast()
}

func (s *stream) write(p []byte) {
	s.change(func() {
		if s.opening == nil {
			s.opening = bytes.Clone(p)
		}
		s.data = append(s.data, p...)
	})
}

// end ends the stream behind its data.
func (s *stream) end(err error) {
	s.change(func() {
		if s.err == nil {
			s.err = err
		}
	})
}

func (s *stream) setDeadline(at time.Time) {
	s.change(func() { s.deadline = at })
	if !at.IsZero() {
		time.AfterFunc(time.Until(at), s.moved.Broadcast)
	}
}

// read waits for bytes, the end, the deadline, or for the reader to be sent away.
func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.left:
			return 0, net.ErrClosed
		case len(s.data) > 0:
			n := copy(p, s.data)
			s.data = s.data[n:]
			return n, nil
		case s.err != nil:
			return 0, s.err
		case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
			return 0, os.ErrDeadlineExceeded
		}
		s.moved.Wait()
	}
}

// take returns all data, without waiting.
func (s *stream) take() (data []byte) {
	s.change(func() { data, s.data = s.data, nil })
	return data
}

// discard drops data until the end or for d.
func (s *stream) discard(d time.Duration) error {
	s.change(func() { s.left = true })
	s.setDeadline(time.Now().Add(d))
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.data = nil
		switch {
		case s.err != nil:
			return nil
		case !time.Now().Before(s.deadline):
			return os.ErrDeadlineExceeded
		}
		s.moved.Wait()
	}
}

// An end is a net.Conn between two streams.
type end struct{ in, out *stream }

// cable returns the two ends of a connection in memory.
func cable() (client, server *end) {
	up, down := newStream(), newStream()
	return &end{down, up}, &end{up, down}
}

func (e *end) Read(p []byte) (int, error)         { return e.in.read(p) }
func (e *end) Write(p []byte) (int, error)        { e.out.write(p); return len(p), nil }
func (e *end) LocalAddr() net.Addr                { return &net.UnixAddr{Name: "local", Net: "unix"} }
func (e *end) RemoteAddr() net.Addr               { return &net.UnixAddr{Name: "remote", Net: "unix"} }
func (e *end) SetReadDeadline(at time.Time) error { e.in.setDeadline(at); return nil }
func (e *end) SetWriteDeadline(time.Time) error   { return nil }
func (e *end) SetDeadline(at time.Time) error     { return e.SetReadDeadline(at) }

func (e *end) Close() error {
	e.out.end(io.EOF)
	e.in.change(func() { e.in.left = true })
	return nil
}

// A memory is a carrier over an end. Its loop, once pushed, is a goroutine.
type memory struct {
	end
	chunk   int  // how many bytes come at once, at most; 0: what is there
	stutter bool // when pulled, a deadline passes before every chunk
	late    bool

	receiver transport.Receiver
	view     []byte // of the loop
	err      error  // after the view

	mu            sync.Mutex
	moved         *sync.Cond
	paused        bool
	again         bool // Receive is to be called, whatever has come
	stuck         bool // the peer takes nothing
	queue         []byte
	shut          bool // our direction ends behind the queue
	writes        int
	writeDeadline time.Time
	writeErr      error
	lingered      bool
}

func newMemory(e *end) *memory {
	m := &memory{end: *e}
	m.moved = sync.NewCond(&m.mu)
	return m
}

func (m *memory) most(n int) int {
	if m.chunk > 0 {
		return min(m.chunk, n)
	}
	return n
}

func (m *memory) Read(p []byte) (int, error) {
	if len(m.view) > 0 {
		n := copy(p, m.view)
		m.Consume(n)
		return n, nil
	}
	if m.receiver != nil {
		if m.err != nil {
			return 0, m.err
		}
		return 0, transport.ErrWouldBlock
	}
	if m.late = !m.late; m.late && m.stutter {
		return 0, os.ErrDeadlineExceeded
	}
	return m.in.read(p[:m.most(len(p))])
}

func (m *memory) View() ([]byte, error) {
	if len(m.view) == 0 {
		p := make([]byte, 4096)
		n, err := m.Read(p)
		if err != nil {
			return nil, err
		}
		m.view = p[:n]
	}
	return m.view, nil
}

func (m *memory) Consume(n int) { m.view = m.view[n:] }

func (m *memory) Push(r transport.Receiver) error {
	m.receiver = r
	m.again = true
	go m.loop()
	return nil
}

func (m *memory) loop() {
	p := make([]byte, 64<<10)
	for {
		if !m.calledAgain() {
			n, err := m.in.read(p[:m.most(len(p))])
			if err == os.ErrDeadlineExceeded || err == net.ErrClosed {
				m.receiver.End(err)
				m.receiver.Finish()
				return
			}
			m.view, m.err = p[:n], err
		}
		if m.calledAgain() && len(m.view) == 0 { // it may have been paused while reading
			continue
		}
		if m.receiver.Readable() != nil {
			m.receiver.Finish()
			return
		}
	}
}

// calledAgain waits while paused, and reports whether Readable is to be called at once.
func (m *memory) calledAgain() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.paused {
		m.moved.Wait()
	}
	again := m.again
	m.again = false
	return again
}

func (m *memory) Pause() {
	m.mu.Lock()
	m.paused = true
	m.mu.Unlock()
}

func (m *memory) Resume() {
	m.mu.Lock()
	m.paused, m.again = false, true
	m.mu.Unlock()
	m.moved.Broadcast()
}

func (m *memory) Writev(bufs ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.writes++
	if m.writeErr == nil && !m.writeDeadline.IsZero() && !time.Now().Before(m.writeDeadline) {
		m.writeErr = os.ErrDeadlineExceeded
	}
	if m.writeErr != nil {
		return m.writeErr
	}
	for _, p := range bufs {
		m.queue = append(m.queue, p...)
	}
	m.sendQueue()
	return nil
}

// sendQueue gives the peer what it takes. The lock is held.
func (m *memory) sendQueue() {
	if m.stuck {
		return
	}
	m.out.write(m.queue)
	m.queue = m.queue[:0]
	if m.shut {
		m.out.end(io.EOF)
	}
	m.moved.Broadcast()
}

// stick makes the peer take nothing, or all again.
func (m *memory) stick(stuck bool) {
	m.mu.Lock()
	m.stuck = stuck
	m.sendQueue()
	m.mu.Unlock()
}

func (m *memory) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

func (m *memory) Queued() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.queue)
}

func (m *memory) Queues() bool              { return true }
func (m *memory) Unacknowledged() int       { return 0 }
func (m *memory) Yield() bool               { return false }
func (m *memory) TLS() *tls.ConnectionState { return nil }

func (m *memory) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, m.Writev(p) }

func (m *memory) Drain(_ context.Context, most int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.queue) > most && m.writeErr == nil {
		m.moved.Wait()
	}
	return m.writeErr
}

func (m *memory) SetWriteDeadline(at time.Time) error {
	m.mu.Lock()
	m.writeDeadline = at
	m.mu.Unlock()
	return nil
}

func (m *memory) CloseWrite() error {
	m.mu.Lock()
	m.shut = true
	m.sendQueue()
	m.mu.Unlock()
	return nil
}

func (m *memory) Linger(d time.Duration) error {
	m.mu.Lock()
	m.lingered = true
	m.mu.Unlock()
	err := m.in.discard(d)
	m.Close()
	return err
}

func (m *memory) Close() error {
	m.mu.Lock()
	m.queue = nil
	m.writeErr = net.ErrClosed
	m.mu.Unlock()
	m.moved.Broadcast()
	return m.end.Close()
}
