//go:build linux

package epoll

import (
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/internal/ring"
	"github.com/seed004e8d11/websock/internal/timing"
	"github.com/seed004e8d11/websock/transport"
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
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
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

// isHeldBack reports whether the loop holds back bytes of the connection.
func (c *Conn) isHeldBack() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.behind != 0
}

// haveDeadlinesChecked has the loop check the connection's deadlines, as if one had passed, before it handles
// what arrives from now on.
func haveDeadlinesChecked(t *testing.T, c *Conn) {
	t.Helper()
	q := &c.loop.deadlines
	q.mu.Lock()
	c.place, _ = q.wheel.Add(c, 0, int64(q.clock()/tick))
	q.entries.Store(int32(q.wheel.Len()))
	place, due := c.place, q.wheel.TickOf(c.place)
	q.mu.Unlock()
	c.loop.wakeup()
	waitUntil(t, "the loop checks the deadlines", func() bool {
		q.mu.Lock()
		defer q.mu.Unlock()
		return q.wheel.TickOf(place) != due
	})
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
	c     *Conn
	begun func()            // called by every Readable
	each  func(view []byte) // called with each view before it is consumed

	sendFailed func(err error) // gets a SendError, instead of the end
	finish     func()          // instead of c.Close

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
		if failed, ok := err.(*transport.SendError); ok && s.sendFailed != nil {
			s.sendFailed(failed)
			continue
		}
		s.mu.Lock()
		s.received = append(s.received, view...)
		if err != nil && err != transport.ErrWouldBlock {
			s.ended = append(s.ended, err)
		}
		s.mu.Unlock()
		switch err {
		case nil:
			if s.each != nil {
				s.each(view)
			}
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

// A plainRing is a batchRing that makes each request by a system call. It counts them, and does what a
// test says instead.
type plainRing struct {
	instead func(q request) (n int, errno syscall.Errno) // does only the first n bytes, or fails; nil, or n < 0: neither
	fail    func() error                                 // the error of Submit, which makes the requests nevertheless; may be nil

	requests []request
	results  []ring.Result

	mu      sync.Mutex // of the fields below
	batches []string   // what each Submit made
	closed  bool
}

// A request is a call of Recv or Send.
type request struct {
	send bool
	fd   int
	p    []byte
	tag  uint32
}

func (r *plainRing) Recv(fd int, p []byte, tag uint32) {
	r.requests = append(r.requests, request{false, fd, p, tag})
}

func (r *plainRing) Send(fd int, p []byte, tag uint32) {
	if len(p) == 0 {
		panic("a send of nothing")
	}
	r.requests = append(r.requests, request{true, fd, p, tag})
}

func (r *plainRing) Submit() error {
	received, sent := 0, 0
	r.results = r.results[:0]
	for _, q := range r.requests {
		n, errno := -1, syscall.Errno(0)
		if r.instead != nil {
			n, errno = r.instead(q)
		}
		res := q.call(n, errno)
		if q.send {
			sent++
		} else {
			received++
		}
		if !q.send || res.Errno != 0 || res.N < len(q.p) {
			r.results = append(r.results, res)
		}
	}
	r.requests = r.requests[:0]
	r.mu.Lock()
	r.batches = append(r.batches, fmt.Sprintf("%d receives, %d sends", received, sent))
	r.mu.Unlock()
	if r.fail != nil {
		return r.fail()
	}
	return nil
}

// call makes the request for n bytes; -1: for all.
func (q request) call(n int, errno syscall.Errno) ring.Result {
	res := ring.Result{Tag: q.tag, Errno: errno}
	if errno != 0 {
		return res
	}
	p, err := q.p, error(nil)
	if n >= 0 {
		p = p[:n]
	}
	if q.send {
		res.N, err = unix.Write(q.fd, p)
	} else {
		res.N, err = unix.Read(q.fd, p)
	}
	res.N = max(res.N, 0)
	res.Errno, _ = err.(syscall.Errno)
	return res
}

// Next returns the results in another order than that of the requests.
func (r *plainRing) Next() (res ring.Result, ok bool) {
	if len(r.results) == 0 {
		return res, false
	}
	last := len(r.results) - 1
	res, r.results = r.results[last], r.results[:last]
	return res, true
}

func (r *plainRing) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
}

// made returns what each Submit has made since the last call of made, and whether the ring is closed.
func (r *plainRing) made() (batches []string, closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	batches, r.batches = r.batches, nil
	return batches, r.closed
}

// A crowd has connections of one loop that can become ready together, since the receiver of another one
// keeps the loop meanwhile. Each answers what it gets, and keeps it.
type crowd struct {
	loops   Factory
	members []*member
	gate    net.Conn // the peer of the other one
	entered chan struct{}
	leave   chan struct{}
}

// A member is a connection of a crowd.
type member struct {
	*sink
	peer net.Conn
}

// newCrowd makes a crowd of n over a network. hook returns the ring of the loop; nil is the system's.
func newCrowd(t *testing.T, network string, n int, hook func() (batchRing, error)) *crowd {
	t.Helper()
	w := &crowd{
		loops:   Factory{&loopGroup{size: 1, ring: hook}},
		entered: make(chan struct{}), leave: make(chan struct{}),
	}
	over := t.Context().Done()
	gate, peer := attachedTo(t, w.loops, network)
	w.gate = peer
	s := &sink{c: gate}
	s.each = func([]byte) {
		select {
		case w.entered <- struct{}{}:
		case <-over:
		}
		select {
		case <-w.leave:
		case <-over:
		}
	}
	if err := gate.Push(s); err != nil {
		t.Fatal(err)
	}
	for range n {
		c, peer := attachedTo(t, w.loops, network)
		m := &member{&sink{c: c}, peer}
		m.each = func(view []byte) { c.WriteBehind(view) }
		if err := c.Push(m); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "it is pushed", func() bool { return c.armedFor() == readable })
		w.members = append(w.members, m)
	}
	return w
}

// together calls become while the loop is kept. All that becomes ready meanwhile is one batch, in this
// order.
func (w *crowd) together(t *testing.T, become func()) {
	t.Helper()
	w.hold(t)
	become()
	w.leave <- struct{}{}
}

// hold waits for the end of the loop's turn, and keeps it until something is sent to leave.
func (w *crowd) hold(t *testing.T) {
	t.Helper()
	io.WriteString(w.gate, "x")
	select {
	case <-w.entered:
	case <-time.After(20 * time.Second):
		t.Fatal("the loop has no other turn")
	}
}

// settle waits for the end of the turn in which all that is ready is handled.
func (w *crowd) settle(t *testing.T) {
	t.Helper()
	w.together(t, func() {})
	w.together(t, func() {})
}

// holdForever has the loop hold back answers until the end of a batch, however long that takes.
func (w *crowd) holdForever(t *testing.T) {
	t.Helper()
	w.together(t, func() {
		b := &w.members[0].c.loop.behind
		b.holdTime = timing.Instant(time.Hour)
		b.watched.Store(true) // so that it isn't started
	})
}

// all has all members become ready together. Each gets what text returns.
func (w *crowd) all(t *testing.T, text func(i int) string) {
	t.Helper()
	w.together(t, func() {
		for i, m := range w.members {
			m.say(t, text(i))
		}
	})
}

// say has the peer write while the loop is kept, and waits until that has arrived.
func (m *member) say(t *testing.T, text string) {
	t.Helper()
	if n, err := io.WriteString(m.peer, text); n < len(text) {
		t.Fatal(err)
	}
	m.awaits(t, unix.POLLIN)
}

// end has the peer end its stream, and waits until that has arrived.
func (m *member) end(t *testing.T) {
	t.Helper()
	m.peer.(interface{ CloseWrite() error }).CloseWrite()
	m.awaits(t, unix.POLLRDHUP)
}

// reset has the peer reset the connection, and waits until that has arrived.
func (m *member) reset(t *testing.T) {
	t.Helper()
	reset(m.peer)
	m.awaits(t, unix.POLLHUP)
}

// awaits waits until the system reports an event, or the connection has ended after it.
func (m *member) awaits(t *testing.T, event int16) {
	t.Helper()
	waitUntil(t, "it arrives", func() bool {
		fds := []unix.PollFd{{Fd: m.c.fd, Events: event}}
		unix.Poll(fds, 0)
		return fds[0].Revents&event != 0 || m.c.isFree()
	})
}

// answers fails the test unless the peer gets an answer.
func (m *member) answers(t *testing.T, want string) {
	t.Helper()
	m.peer.SetReadDeadline(time.Now().Add(20 * time.Second))
	got := make([]byte, len(want))
	if n, err := io.ReadFull(m.peer, got); err != nil || string(got) != want {
		t.Fatalf("the answer is %.100q, %v; want %.100q", got[:n], err, want)
	}
}

// silent fails the test if the peer has got something.
func (m *member) silent(t *testing.T) {
	t.Helper()
	m.peer.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, err := m.peer.Read(make([]byte, 10)); n > 0 || !os.IsTimeout(err) {
		t.Fatalf("%d bytes came, %v", n, err)
	}
}

// rings has the ways in which a loop may serve several connections.
var rings = map[string]func() (batchRing, error){
	"with io_uring":  nil,
	"with a double":  func() (batchRing, error) { return &plainRing{}, nil },
	"without a ring": noRing,
}

func noRing() (batchRing, error) { return nil, unix.ENOSYS }

// eachRing runs f with each of rings.
func eachRing(t *testing.T, f func(t *testing.T, hook func() (batchRing, error))) {
	for _, name := range slices.Sorted(maps.Keys(rings)) {
		t.Run(name, func(t *testing.T) {
			hook := rings[name]
			if hook == nil && ring.Supported() != nil {
				t.Skip(ring.Supported())
			}
			f(t, hook)
		})
	}
}

// doubled makes a crowd whose ring is r.
func doubled(t *testing.T, n int, r *plainRing) *crowd {
	t.Helper()
	return newCrowd(t, "tcp", n, func() (batchRing, error) { return r, nil })
}

// A notingFactory is a Factory that notes the connections that it makes.
type notingFactory struct {
	Factory
	conns []*Conn
}

func (f *notingFactory) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	c, err := f.Factory.Attach(conn, early)
	if err == nil {
		f.conns = append(f.conns, c.(*Conn))
	}
	return c, err
}
