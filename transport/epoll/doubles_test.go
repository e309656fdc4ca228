//go:build linux

package epoll

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
	"golang.org/x/sys/unix"
)

// attached returns a connection on a loop of its own, and its peer. Both are closed when the
// test ends.
func attached(t *testing.T, network string) (c *Conn, peer net.Conn) {
	t.Helper()
	return attachedTo(t, Loops(1), network)
}

func attachedTo(t *testing.T, loops Factory, network string) (c *Conn, peer net.Conn) {
	t.Helper()
	client, server := netpair.Sockets(t, network)
	for _, conn := range []net.Conn{client, server} { // so that few bytes fill them
		buffered := conn.(interface {
			SetReadBuffer(n int) error
			SetWriteBuffer(n int) error
		})
		buffered.SetReadBuffer(64 << 10)
		buffered.SetWriteBuffer(16 << 10)
	}
	transport, err := loops.Attach(client, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Close() })
	return transport.(*Conn), server
}

// waitUntil waits for a condition to become true, and fails the test if it doesn't.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// isAwaited reports whether a goroutine waits for bytes, or is about to.
func (c *Conn) isAwaited() bool { return c.armedFor() == eachArrival }

func (c *Conn) armedFor() events {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.armed
}

// isFree reports whether the descriptor is closed.
func (c *Conn) isFree() bool { return connsByFD.get(int(c.fd)) != c }

// flush writes what the system takes, as the loop does, and returns why no more can be written.
func flush(c *Conn) error {
	if c.flush() && c.has(pushed) {
		c.schedule()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.outputErrLocked()
}

// A sink is a Receiver that keeps all that it reads, and closes the connection at the end.
type sink struct {
	c      *Conn
	begun  func() // called by every Readable
	finish func() // instead of c.Close

	mu       sync.Mutex
	received []byte
	ended    []error
	finished int
}

// push calls Push with a new sink.
func push(t *testing.T, c *Conn) *sink {
	t.Helper()
	s := &sink{c: c}
	if err := c.Push(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sink) Readable() error {
	if s.begun != nil {
		s.begun()
	}
	for {
		view, err := s.c.View()
		s.mu.Lock()
		s.received = append(s.received, view...)
		if err != nil && err != transport.ErrWouldBlock {
			s.ended = append(s.ended, err)
		}
		s.mu.Unlock()
		switch err {
		case nil:
			s.c.Consume(len(view))
		case transport.ErrWouldBlock:
			return nil
		default:
			return err
		}
	}
}

func (s *sink) End(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = append(s.ended, err)
}

func (s *sink) Finish() {
	if s.finish != nil {
		s.finish()
	} else {
		s.c.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished++
}

// got returns what was received so far.
func (s *sink) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.received)
}

// end waits for the end and returns the error that the receiver got. It gets one, and Finish is
// called once.
func (s *sink) end(t *testing.T) error {
	t.Helper()
	waitUntil(t, "the receiver is finished", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.finished > 0
	})
	waitUntil(t, "the descriptor is closed", s.c.isFree)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended) != 1 || s.finished != 1 {
		t.Fatalf("ended with %v, finished %d times", s.ended, s.finished)
	}
	return s.ended[0]
}

// fill sends until more is queued than the system's buffers can still take, and returns all that
// was sent.
func fill(t *testing.T, c *Conn) (sent []byte) {
	t.Helper()
	for n := 0; c.Queued() < 256<<10; n++ {
		if err := c.Writev(numbered(n, 1000)); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, numbered(n, 1000)...)
	}
	return sent
}

// numbered returns size bytes that differ from those of other numbers.
func numbered(n, size int) []byte {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(n*7 + i)
	}
	return p
}

// readAll reads len(want) bytes and compares them.
func readAll(t *testing.T, peer io.Reader, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(peer, got); err != nil {
		t.Fatalf("%d bytes of %d arrived: %v", n, len(want), err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("byte %d of %d is wrong", i, len(want))
		}
	}
}

// A nibbler is a Receiver that pauses after each byte.
type nibbler struct {
	*sink
	took chan byte
}

func (n *nibbler) Readable() error {
	view, err := n.c.View()
	if err != nil {
		return n.sink.Readable() // which keeps the error
	}
	b := view[0]
	n.c.Consume(1)
	n.c.Pause()
	n.took <- b
	return nil
}

// reset makes the system reset a TCP connection.
func reset(peer net.Conn) {
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
}

// sockets is netpair.Sockets also for "tcp6".
func sockets(t *testing.T, network string) (client, server net.Conn) {
	if network != "tcp6" {
		return netpair.Sockets(t, network)
	}
	l, err := net.Listen(network, "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	defer l.Close()
	client, err = net.Dial(network, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return client, server
}

// An addressed is a net.Conn with given addresses.
type addressed struct {
	net.Conn
	local, remote net.Addr
}

func (a addressed) LocalAddr() net.Addr  { return a.local }
func (a addressed) RemoteAddr() net.Addr { return a.remote }

// A scriptedSystem is what a blocker uses of the system, with a clock of its own. An event comes
// when the script says so.
type scriptedSystem struct {
	clock       timing.Instant
	event       timing.Instant // when it comes
	others      time.Duration  // how long other goroutines run when they may
	processors  int
	interrupted bool  // wait, by a signal
	armFails    error // of the timer

	timer timing.Instant // when it ends a wait
	waits int
}

// timerFd is the descriptor of a scriptedSystem's timer.
const timerFd = 77

// blocker returns a blocker that uses s.
func (s *scriptedSystem) blocker() blocker {
	return blocker{
		timer:      timerFd,
		now:        func() timing.Instant { return s.clock },
		yield:      func() { s.clock += timing.Instant(s.others) },
		processors: func() int { return s.processors },
		arm: func() error {
			s.timer = s.clock + parkInterval
			return s.armFails
		},
		wait: func(_ int, events []unix.EpollEvent) (int, syscall.Errno) {
			s.waits++
			if s.interrupted {
				return 0, unix.EINTR
			}
			s.clock = max(s.clock, min(s.event, s.timer))
			n := 0
			if s.timer <= s.clock {
				events[n].Fd = timerFd
				n++
			}
			if s.event <= s.clock {
				events[n].Fd = 1
				n++
			}
			return n, 0
		},
	}
}

// wait has b wait for an event that comes after the given time, and reports how it did.
func (s *scriptedSystem) wait(t *testing.T, b *blocker, after time.Duration) (how string) {
	start := s.clock
	s.event = start + timing.Instant(after)
	waits := s.waits
	events := make([]unix.EpollEvent, 2)
	n, ok := b.block(-1, events, start, 0)
	if s.waits > waits {
		how = "block"
	}
	if !ok {
		s.clock = max(s.clock, s.event)
		b.hasParked(start, true)
		how += "park"
	} else if n == 1 && events[0].Fd != 1 || n == 0 != s.interrupted {
		t.Errorf("%d events; the first is of %d", n, events[0].Fd)
	}
	return how
}
