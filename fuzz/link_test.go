package fuzz

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// capacity is how much is under way on a link in one direction before a write waits.
const capacity = 8 << 10

// A link is a network connection with a fault wherever its programs say so. What it
// carries is carried whole and in order, up to the place where it breaks.
type link struct {
	mu      sync.Mutex
	changed *sync.Cond
	broken  bool // by a fault that is no mere timeout of a read
	early   bool // a read timed out before its time
}

// newLink returns the two ends; each has its own faults.
func newLink(clientFaults, serverFaults program) (l *link, client, server *end) {
	l = &link{}
	l.changed = sync.NewCond(&l.mu)
	up, down := &direction{}, &direction{}
	client = &end{link: l, in: down, out: up, faults: clientFaults}
	server = &end{link: l, in: up, out: down, faults: serverFaults}
	return l, client, server
}

// A direction is the bytes under way in it.
type direction struct {
	bytes []byte
	ended bool // no more will follow
	reset bool // and these are lost
}

// An end is a net.Conn. Its deadlines are those of one read and one write at a time.
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

// The kinds of faults; the rest of the byte says how much.
const (
	delay        = 4 + iota // the call takes longer
	earlyTimeout            // its deadline, if there is one, passes before its time
	failure                 // it fails, and says that this is temporary
	breakage                // the link breaks, one way or another
	faultKinds
	faultSize = 256 / faultKinds
)

// fault carries out the next fault, if it is one, and returns its size and what the call
// then returns. The lock is held.
func (e *end) fault(d *deadline) (size int, err error) {
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
		e.breakLink(size)
	}
	return size, nil
}

// breakLink ends the stream at once.
func (e *end) breakLink(how int) {
	e.in.ended, e.out.ended = true, true
	switch how % 3 {
	case 0: // what has come can still be read
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
	size, err := e.fault(&e.read)
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
			return e.takeBytes(p, size)
		case e.in.ended:
			return 0, io.EOF
		}
		l.changed.Wait()
	}
}

// takeBytes reads at most size bytes, if that says so, and the end with the last ones, if
// size is odd.
func (e *end) takeBytes(p []byte, size int) (n int, err error) {
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
	if size, err := e.fault(&e.write); err != nil { // a part has left
		l.broken = true
		return e.putBytes(p[:min(size, len(p))]), err
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
			n += e.putBytes(p[n:min(n+room, len(p))])
		} else {
			l.changed.Wait()
		}
	}
	return n, nil
}

func (e *end) putBytes(p []byte) int {
	e.out.bytes = append(e.out.bytes, p...)
	e.link.changed.Broadcast()
	return len(p)
}

// Close ends both directions; what was written can still be read by the peer.
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
	if !at.IsZero() {
		d.timer = time.AfterFunc(time.Until(at), func() {
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
