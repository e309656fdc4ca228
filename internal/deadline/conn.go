package deadline

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
	"time"
)

// Conn is a net.Conn with deadlines over one without. Like any net.Conn it can be used by
// several goroutines at once. Close returns soon and ends all calls, whatever the connection
// underneath does.
type Conn struct {
	conn   net.Conn
	closed chan struct{}
	close  sync.Once
	in     input
	out    output
}

// Wrap returns conn if deadlines can be set on it, and else a Conn over it, which then owns
// it. A deadline that conn has is cleared.
func Wrap(conn net.Conn) net.Conn {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn, *Conn:
		return conn
	}
	if hasDeadlines(conn) {
		return conn
	}
	return &Conn{
		conn:   conn,
		closed: make(chan struct{}),
		in:     input{direction: newDirection(), came: make(chan struct{}, 1)},
		out:    output{direction: newDirection(), left: make(chan struct{}, 1)},
	}
}

// hasDeadlines reports whether deadlines can be set on conn, by trying one that is far away.
func hasDeadlines(conn net.Conn) bool {
	for _, t := range []time.Time{time.Now().Add(time.Hour), {}} {
		if conn.SetDeadline(t) != nil || conn.SetReadDeadline(t) != nil || conn.SetWriteDeadline(t) != nil {
			return false
		}
	}
	return true
}

// Unwrap returns the connection that Wrap got.
func Unwrap(conn net.Conn) net.Conn {
	if c, ok := conn.(*Conn); ok {
		return c.conn
	}
	return conn
}

// A direction is reading or writing.
type direction struct {
	turn  chan struct{} // has room while no call is under way
	alarm alarm
}

func newDirection() direction {
	return direction{turn: make(chan struct{}, 1), alarm: alarm{rung: make(chan struct{})}}
}

// wait waits for event, the deadline or the end, and prefers the first.
func (c *Conn) wait(d *direction, event <-chan struct{}) error {
	select {
	case <-event:
		return nil
	default:
	}
	select {
	case <-event:
		return nil
	case <-c.closed:
		return net.ErrClosed
	case <-d.alarm.wait():
		return os.ErrDeadlineExceeded
	}
}

// begin waits until no other call of the direction is under way.
func (c *Conn) begin(d *direction) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-c.closed:
		return net.ErrClosed
	case <-d.alarm.wait():
		return os.ErrDeadlineExceeded
	}
}

func (d *direction) end() { <-d.turn }

// An input is what is read.
type input struct {
	direction
	came    chan struct{} // when the read under way has ended
	reading bool
	memory  []byte
	rest    []byte // read and not asked for yet
	err     error  // that came behind it
}

// Sizes of reads.
const (
	leastRead = 4 << 10
	mostRead  = 64 << 10
)

// Read reads what has come, or waits for something. What it reads ahead, at most 64 KiB, the
// next Read returns.
func (c *Conn) Read(p []byte) (int, error) {
	in := &c.in
	if err := c.begin(&in.direction); err != nil {
		return 0, err
	}
	defer in.end()
	if len(p) == 0 {
		return 0, nil
	}
	if in.reading || len(in.rest) == 0 && in.err == nil {
		if !in.reading {
			in.reading = true
			in.reserve(len(p))
			go in.read(c.conn)
		}
		if err := c.wait(&in.direction, in.came); err != nil {
			return 0, err
		}
		in.reading = false
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	if n > 0 {
		return n, nil
	}
	err := in.err
	in.err = nil // if it lasts, it comes again
	return 0, err
}

// reserve makes room for a read of n bytes.
func (in *input) reserve(n int) {
	n = min(max(n, leastRead), mostRead)
	if len(in.memory) < n {
		in.memory = make([]byte, n)
	}
}

func (in *input) read(conn net.Conn) {
	n, err := conn.Read(in.memory)
	in.rest, in.err = in.memory[:n], err
	in.came <- struct{}{}
}

// An output is what is written.
type output struct {
	direction
	left    chan struct{} // when the write under way has ended
	writing bool
	memory  []byte
	n       int
	err     error
}

// mostWrite is how much is written at once, from memory that a write which is given up keeps.
const mostWrite = 64 << 10

// Write writes all of p, or returns an error. A write that the deadline has ended goes on, and
// later ones come behind it.
func (c *Conn) Write(p []byte) (written int, err error) {
	if err := c.begin(&c.out.direction); err != nil {
		return 0, err
	}
	defer c.out.end()
	for {
		n, err := c.writeSome(p[written:min(len(p), written+mostWrite)])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

func (c *Conn) writeSome(p []byte) (int, error) {
	out := &c.out
	if err := c.mayWrite(); err != nil {
		return 0, err
	}
	out.memory = append(out.memory[:0], p...)
	return c.run(func() (int, error) { return c.conn.Write(out.memory) })
}

// mayWrite waits for a write that was given up, and returns how that has ended.
func (c *Conn) mayWrite() error {
	out := &c.out
	if out.writing {
		if err := c.wait(&out.direction, out.left); err != nil {
			return err
		}
		out.writing = false
		if out.err != nil {
			return out.err
		}
	}
	select {
	case <-c.closed:
		return net.ErrClosed
	case <-out.alarm.wait():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// run runs f, which writes, and leaves it alone when the deadline passes.
func (c *Conn) run(f func() (int, error)) (int, error) {
	out := &c.out
	out.writing = true
	go func() {
		out.n, out.err = f()
		out.left <- struct{}{}
	}()
	if err := c.wait(&out.direction, out.left); err != nil {
		return 0, err
	}
	out.writing = false
	return out.n, out.err
}

// CloseWrite ends our direction, if the connection underneath can do that.
func (c *Conn) CloseWrite() error {
	conn, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	if err := c.begin(&c.out.direction); err != nil {
		return err
	}
	defer c.out.end()
	if err := c.mayWrite(); err != nil {
		return err
	}
	_, err := c.run(func() (int, error) { return 0, conn.CloseWrite() })
	return err
}

// closeWait is how long Close waits for the connection underneath.
const closeWait = 50 * time.Millisecond

// Close closes the connection and ends all calls. Its error is that of the connection
// underneath if that doesn't take longer than a moment. A tls.Conn is closed without an alert,
// which could wait for the peer for ever.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.close.Do(func() {
		close(c.closed)
		c.in.alarm.set(time.Time{})
		c.out.alarm.set(time.Time{})
		closed := make(chan error, 1)
		go func() { closed <- belowTLS(c.conn).Close() }()
		moment := time.NewTimer(closeWait)
		defer moment.Stop()
		select {
		case err = <-closed:
		case <-moment.C:
			err = nil
		}
	})
	return err
}

// belowTLS returns the connection that carries conn's records, or conn if that has none.
func belowTLS(conn net.Conn) net.Conn {
	for {
		secured, ok := conn.(*tls.Conn)
		if !ok {
			return conn
		}
		conn = secured.NetConn()
	}
}

// LocalAddr is that of the connection underneath.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr is that of the connection underneath.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline is that of net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setAlarm(&c.in.alarm, t) }

// SetWriteDeadline is that of net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setAlarm(&c.out.alarm, t) }

func (c *Conn) setAlarm(a *alarm, t time.Time) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
		a.set(t)
		return nil
	}
}
