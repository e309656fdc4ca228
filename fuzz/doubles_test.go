package fuzz

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
)

// capacity is how many bytes a link holds in one direction before a write blocks.
const capacity = 8 << 10

// A link is a network connection with faults that programs describe. It carries bytes without loss
// and in order, up to the byte at which it breaks.
type link struct {
	mu      sync.Mutex
	changed *sync.Cond
	broken  bool // by a fault other than a read timeout
	early   bool // a read timed out before its deadline
}

// newLink returns a link and its two ends, each with its own faults.
func newLink(clientFaults, serverFaults program) (l *link, client, server *end) {
	l = &link{}
	l.changed = sync.NewCond(&l.mu)
	up, down := &direction{}, &direction{}
	client = &end{link: l, in: down, out: up, faults: clientFaults}
	server = &end{link: l, in: up, out: down, faults: serverFaults}
	return l, client, server
}

// A direction holds the bytes in flight in one direction.
type direction struct {
	bytes []byte
	ended bool // no more will follow
	reset bool // and bytes are lost
}

// An end is a net.Conn for one reader and one writer.
type end struct {
	link        *link
	in, out     *direction
	faults      program
	read, write deadline
	closed      bool
}

type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

// The kinds of faults. The rest of the byte is the size.
const (
	delay        = 4 + iota // the call takes longer
	earlyTimeout            // its deadline, if it has one, passes early
	failure                 // it fails with a temporary error
	breakage                // the link breaks, one way or another
	faultKinds
	faultSize = 256 / faultKinds
)

// faultLocked takes the next instruction, carries out its fault, and returns its size and the error
// that the call returns.
func (e *end) faultLocked(d *deadline) (size int, err error) {
	b := int(e.faults.next())
	size = b / faultKinds
	switch b % faultKinds {
	case delay:
		e.link.mu.Unlock()
		time.Sleep(time.Duration(size) * time.Millisecond)
		e.link.mu.Lock()
	case earlyTimeout:
		if !d.at.IsZero() {
			return size, os.ErrDeadlineExceeded
		}
	case failure:
		return size, temporary{}
	case breakage:
		e.breakLinkLocked(size)
	}
	return size, nil
}

// breakLinkLocked ends both directions at once.
func (e *end) breakLinkLocked(how int) {
	e.in.ended, e.out.ended = true, true
	switch how % 3 {
	case 0: // bytes that have arrived can still be read
	case 1:
		e.in.bytes = nil
	case 2:
		e.in.reset, e.out.reset = true, true
	}
	e.link.broken = true
	e.link.changed.Broadcast()
}

// temporary is an error of the kind that net.Error calls temporary.
type temporary struct{}

func (temporary) Error() string   { return "temporary failure" }
func (temporary) Timeout() bool   { return false }
func (temporary) Temporary() bool { return true }

func (e *end) Read(p []byte) (int, error) {
	l := e.link
	l.mu.Lock()
	defer l.mu.Unlock()
	size, err := e.faultLocked(&e.read)
	if err != nil {
		l.early = true
		l.broken = l.broken || err != os.ErrDeadlineExceeded
		return 0, err
	}
	for {
		switch {
		case e.closed:
			return 0, net.ErrClosed
		case e.in.reset:
			return 0, syscall.ECONNRESET
		case e.read.passed():
			return 0, os.ErrDeadlineExceeded
		case len(e.in.bytes) > 0:
			return e.takeBytesLocked(p, size)
		case e.in.ended:
			return 0, io.EOF
		}
		l.changed.Wait()
	}
}

// takeBytesLocked reads at most size bytes unless that is 0. If size is odd, the last bytes are
// returned together with io.EOF.
func (e *end) takeBytesLocked(p []byte, size int) (n int, err error) {
	if size > 0 {
		p = p[:min(len(p), size)]
	}
	n = copy(p, e.in.bytes)
	e.in.bytes = e.in.bytes[n:]
	e.link.changed.Broadcast()
	if e.in.ended && len(e.in.bytes) == 0 && size%2 == 1 {
		err = io.EOF
	}
	return n, err
}

func (e *end) Write(p []byte) (n int, err error) {
	l := e.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if size, err := e.faultLocked(&e.write); err != nil { // a part was sent
		l.broken = true
		return e.putBytesLocked(p[:min(size, len(p))]), err
	}
	for n < len(p) {
		switch {
		case e.closed:
			return n, net.ErrClosed
		case e.out.ended:
			return n, syscall.EPIPE
		case e.write.passed():
			l.broken = true
			return n, os.ErrDeadlineExceeded
		}
		if room := capacity - len(e.out.bytes); room > 0 {
			n += e.putBytesLocked(p[n:min(n+room, len(p))])
		} else {
			l.changed.Wait()
		}
	}
	return n, nil
}

func (e *end) putBytesLocked(p []byte) int {
	e.out.bytes = append(e.out.bytes, p...)
	e.link.changed.Broadcast()
	return len(p)
}

// Close ends both directions. The peer can still read what was written.
func (e *end) Close() error {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	e.closed, e.in.ended, e.out.ended = true, true, true
	for _, d := range []*deadline{&e.read, &e.write} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	e.link.changed.Broadcast()
	return nil
}

func (e *end) CloseWrite() error {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	e.out.ended = true
	e.link.changed.Broadcast()
	return nil
}

func (e *end) set(d *deadline, at time.Time) error {
	e.link.mu.Lock()
	defer e.link.mu.Unlock()
	d.at = at
	if d.timer != nil {
		d.timer.Stop()
	}
	// A timer of a bubble that is due at once runs in the goroutine that starts it. If two do so at the same time,
	// the race detector may crash: they are one and the same thread for it.
	if left := time.Until(at); !at.IsZero() && left > 0 {
		d.timer = time.AfterFunc(left, func() {
			e.link.mu.Lock()
			e.link.changed.Broadcast()
			e.link.mu.Unlock()
		})
	}
	e.link.changed.Broadcast()
	return nil
}

func (e *end) SetReadDeadline(at time.Time) error  { return e.set(&e.read, at) }
func (e *end) SetWriteDeadline(at time.Time) error { return e.set(&e.write, at) }

func (e *end) SetDeadline(at time.Time) error {
	e.SetReadDeadline(at)
	return e.SetWriteDeadline(at)
}

func (e *end) LocalAddr() net.Addr  { return &net.UnixAddr{Net: "unix"} }
func (e *end) RemoteAddr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// A stream is a transport that delivers pieces, each by itself, and then io.EOF, and keeps what is
// sent. An empty piece stands for a read timeout or, with a receiver, for ErrWouldBlock.
type stream struct {
	pieces   [][]byte
	view     []byte
	sent     []byte
	receiver transport.Receiver
	paused   bool
	closed   bool
}

func (s *stream) View() ([]byte, error) {
	if len(s.view) > 0 {
		return s.view, nil
	}
	if len(s.pieces) == 0 {
		return nil, io.EOF
	}
	s.view = s.pieces[0]
	s.pieces = s.pieces[1:]
	switch {
	case len(s.view) > 0:
		return s.view, nil
	case s.receiver != nil:
		return nil, transport.ErrWouldBlock
	}
	return nil, os.ErrDeadlineExceeded
}

func (s *stream) Consume(n int) { s.view = s.view[n:] }

func (s *stream) Read(p []byte) (int, error) {
	view, err := s.View()
	n := copy(p, view)
	s.Consume(n)
	return n, err
}

func (s *stream) Writev(bufs ...[]byte) error {
	for _, b := range bufs {
		s.sent = append(s.sent, b...)
	}
	return nil
}

func (s *stream) Queued() int                      { return 0 }
func (s *stream) CloseWrite() error                { return nil }
func (s *stream) Linger(time.Duration) error       { return s.Close() }
func (s *stream) TLS() *tls.ConnectionState        { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
func (s *stream) LocalAddr() net.Addr              { return nil }
func (s *stream) RemoteAddr() net.Addr             { return nil }
func (s *stream) Close() error                     { s.closed = true; return nil }

// Push sets the receiver that play calls.
func (s *stream) Push(r transport.Receiver) error {
	s.receiver = r
	return nil
}

// Pause makes play wait for Resume.
func (s *stream) Pause() { s.paused = true }

// Resume ends a Pause.
func (s *stream) Resume() { s.paused = false }

// Yield returns false: a stream can't yield.
func (s *stream) Yield() bool { return false }

// play calls the receiver until the stream ends.
func (s *stream) play(c *websock.Conn) {
	for s.receiver.Readable() == nil {
		if s.paused {
			c.Resume()
		}
	}
	s.receiver.Finish()
}

// A pieceCarrier is a transport.Conn that queues what is written, and calls its Receiver when a test
// says so, on the goroutine of the test.
type pieceCarrier struct {
	stream
	err     error // of View, after the view; nil: transport.ErrWouldBlock
	full    bool  // what is written stays in the queue
	queued  int
	resumed bool
	ended   bool
}

func (c *pieceCarrier) View() ([]byte, error) {
	switch {
	case c.closed:
		return nil, net.ErrClosed
	case len(c.view) > 0:
		return c.view, nil
	case c.err != nil:
		return nil, c.err
	}
	return nil, transport.ErrWouldBlock
}

func (c *pieceCarrier) Writev(bufs ...[]byte) error {
	for _, b := range bufs {
		c.sent = append(c.sent, b...)
		if c.full {
			c.queued += len(b)
		}
	}
	return nil
}

func (c *pieceCarrier) Queued() int                      { return c.queued }
func (c *pieceCarrier) Queues() bool                     { return true }
func (c *pieceCarrier) Unacknowledged() int              { return 0 }
func (c *pieceCarrier) Linger(time.Duration) error       { return c.Close() }
func (c *pieceCarrier) Resume()                          { c.resumed = true }
func (c *pieceCarrier) Yield() bool                      { c.resumed = true; return true }
func (c *pieceCarrier) Drain(context.Context, int) error { return net.ErrClosed }

func (c *pieceCarrier) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, c.Writev(p) }

func (c *pieceCarrier) Close() error {
	c.closed, c.resumed = true, true
	return nil
}

// turn calls the Receiver, unless it has ended.
func (c *pieceCarrier) turn() {
	c.resumed = false
	switch {
	case c.ended:
		return
	case c.closed:
		c.receiver.End(net.ErrClosed)
	case c.receiver.Readable() == nil:
		return
	}
	c.ended = true
	c.receiver.Finish()
}

// run calls the Receiver as long as it asks for that, or has waited for the queue.
func (c *pieceCarrier) run() {
	for !c.ended && (c.resumed || !c.full && c.queued > 0) {
		if !c.full {
			c.queued = 0
		}
		c.turn()
	}
}

// take returns what was written since the last call.
func (c *pieceCarrier) take() []byte {
	sent := c.sent
	c.sent = nil
	return sent
}
