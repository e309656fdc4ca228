// Package deadline adds deadlines to a net.Conn that does not support them, such as a channel of an
// SSH connection.
//
// Reads and writes of such a net.Conn run in goroutines, and a deadline ends the wait for them. A
// read that timed out goes on, and a later Read returns what it has read, so that nothing is lost. A
// write that timed out goes on too, and later writes wait for it.
package deadline

import (
	"crypto/tls"
	"net"
	"os"
	"sync"
	"time"
)

// A Conn is a net.Conn with deadlines over one without. Like any net.Conn it may be used by several
// goroutines at once. Close returns soon, and ends all calls, even if the net.Conn underneath
// blocks.
type Conn struct {
	conn   net.Conn
	closed chan struct{}
	close  sync.Once
	in     input
	out    output
}

// Wrap returns conn if it supports deadlines, and otherwise a Conn over it, which owns it from then
// on. A deadline that was set on conn is removed.
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
		in:     input{direction: newDirection(), done: make(chan struct{}, 1)},
		out:    output{direction: newDirection(), done: make(chan struct{}, 1)},
	}
}

// hasDeadlines tries to set a deadline that is far away, and to remove it.
func hasDeadlines(conn net.Conn) bool {
	for _, t := range []time.Time{time.Now().Add(time.Hour), {}} {
		if conn.SetDeadline(t) != nil || conn.SetReadDeadline(t) != nil || conn.SetWriteDeadline(t) != nil {
			return false
		}
	}
	return true
}

// Unwrap returns the connection that Wrap was given.
func Unwrap(conn net.Conn) net.Conn {
	if c, ok := conn.(*Conn); ok {
		return c.conn
	}
	return conn
}

// A direction is the state that reading and writing have in common.
type direction struct {
	inUse    chan struct{} // full while a call is in progress
	deadline timer
}

func newDirection() direction {
	return direction{inUse: make(chan struct{}, 1), deadline: newTimer()}
}

// wait waits for event, the deadline or Close. If several have come, event is preferred.
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
	case <-d.deadline.expired():
		return os.ErrDeadlineExceeded
	}
}

// begin waits until no other call uses the direction, the deadline or Close.
func (c *Conn) begin(d *direction) error {
	select {
	case d.inUse <- struct{}{}:
		return nil
	default:
	}
	select {
	case d.inUse <- struct{}{}:
		return nil
	case <-c.closed:
		return net.ErrClosed
	case <-d.deadline.expired():
		return os.ErrDeadlineExceeded
	}
}

func (d *direction) end() { <-d.inUse }

// An input is the state of reading.
type input struct {
	direction
	done    chan struct{} // receives a value when the read in progress ends
	reading bool          // a read is in progress, or its result was not taken
	buf     []byte
	unread  []byte // bytes of buf that Read has not returned
	err     error  // of the read that ended last
}

// Sizes of the buffer for reads, in bytes.
const (
	minReadSize = 4 << 10
	maxReadSize = 64 << 10
)

// Read returns bytes that were read ahead, at most 64 KiB, or waits for some.
func (c *Conn) Read(p []byte) (int, error) {
	in := &c.in
	if err := c.begin(&in.direction); err != nil {
		return 0, err
	}
	defer in.end()
	if len(p) == 0 {
		return 0, nil
	}
	if in.reading || len(in.unread) == 0 && in.err == nil {
		if !in.reading {
			in.reading = true
			in.grow(len(p))
			go in.read(c.conn)
		}
		if err := c.wait(&in.direction, in.done); err != nil {
			return 0, err
		}
		in.reading = false
	}
	n := copy(p, in.unread)
	in.unread = in.unread[n:]
	if n > 0 {
		return n, nil
	}
	err := in.err
	in.err = nil // a lasting error is returned by the next read again
	return 0, err
}

// grow makes the buffer large enough for a read of n bytes.
func (in *input) grow(n int) {
	n = min(max(n, minReadSize), maxReadSize)
	if len(in.buf) < n {
		in.buf = make([]byte, n)
	}
}

func (in *input) read(conn net.Conn) {
	n, err := conn.Read(in.buf)
	in.unread, in.err = in.buf[:n], err
	in.done <- struct{}{}
}

// An output is the state of writing.
type output struct {
	direction
	done    chan struct{} // receives a value when the write in progress ends
	writing bool          // a write is in progress, or its result was not taken
	buf     []byte
	n       int   // result of the write that ended last
	err     error // likewise
}

// maxWriteSize is how many bytes are written at once, from a buffer that a write which timed out
// goes on using.
const maxWriteSize = 64 << 10

// Write writes all of p, or returns an error. If it times out, the net.Conn underneath may still be
// writing some of p; later writes wait for that.
func (c *Conn) Write(p []byte) (written int, err error) {
	if err := c.begin(&c.out.direction); err != nil {
		return 0, err
	}
	defer c.out.end()
	for {
		n, err := c.writeSome(p[written:min(len(p), written+maxWriteSize)])
		written += n
		if err != nil || written == len(p) {
			return written, err
		}
	}
}

func (c *Conn) writeSome(p []byte) (int, error) {
	out := &c.out
	if err := c.waitWritable(); err != nil {
		return 0, err
	}
	out.buf = append(out.buf[:0], p...)
	return c.runWrite(func() (int, error) { return c.conn.Write(out.buf) })
}

// waitWritable waits for a write that timed out before, and returns its error. It also checks Close
// and the deadline.
func (c *Conn) waitWritable() error {
	out := &c.out
	if out.writing {
		if err := c.wait(&out.direction, out.done); err != nil {
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
	case <-out.deadline.expired():
		return os.ErrDeadlineExceeded
	default:
		return nil
	}
}

// runWrite calls write in a goroutine, and waits for it until the deadline or Close.
func (c *Conn) runWrite(write func() (int, error)) (int, error) {
	out := &c.out
	out.writing = true
	go func() {
		out.n, out.err = write()
		out.done <- struct{}{}
	}()
	if err := c.wait(&out.direction, out.done); err != nil {
		return 0, err
	}
	out.writing = false
	return out.n, out.err
}

// CloseWrite ends the outgoing stream after earlier writes. It returns nil if the net.Conn
// underneath has no such method.
func (c *Conn) CloseWrite() error {
	conn, ok := c.conn.(interface{ CloseWrite() error })
	if !ok {
		return nil
	}
	if err := c.begin(&c.out.direction); err != nil {
		return err
	}
	defer c.out.end()
	if err := c.waitWritable(); err != nil {
		return err
	}
	_, err := c.runWrite(func() (int, error) { return 0, conn.CloseWrite() })
	return err
}

// closeWait is how long Close waits for the Close of the net.Conn underneath.
const closeWait = 50 * time.Millisecond

// Close closes the connection and ends all calls. It returns the error of the net.Conn underneath,
// or nil if that takes longer than 50 ms to close. A tls.Conn is closed without an alert, which could
// block as long as the peer reads nothing.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.close.Do(func() {
		close(c.closed)
		c.in.deadline.set(time.Time{})
		c.out.deadline.set(time.Time{})
		closed := make(chan error, 1)
		go func() { closed <- belowTLS(c.conn).Close() }()
		timer := time.NewTimer(closeWait)
		defer timer.Stop()
		select {
		case err = <-closed:
		case <-timer.C:
			err = nil
		}
	})
	return err
}

// belowTLS returns the connection that carries the records of conn, or conn if it is no tls.Conn.
func belowTLS(conn net.Conn) net.Conn {
	for {
		secured, ok := conn.(*tls.Conn)
		if !ok {
			return conn
		}
		conn = secured.NetConn()
	}
}

// LocalAddr returns the local address of the net.Conn underneath.
func (c *Conn) LocalAddr() net.Addr { return c.conn.LocalAddr() }

// RemoteAddr returns the remote address of the net.Conn underneath.
func (c *Conn) RemoteAddr() net.Addr { return c.conn.RemoteAddr() }

// SetDeadline sets both deadlines, as net.Conn says. It returns net.ErrClosed after Close.
func (c *Conn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the time at which reads time out, as net.Conn says. It returns net.ErrClosed
// after Close.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.setDeadline(&c.in.direction, t) }

// SetWriteDeadline sets the time at which writes time out, as net.Conn says. It returns
// net.ErrClosed after Close.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(&c.out.direction, t) }

func (c *Conn) setDeadline(d *direction, t time.Time) error {
	select {
	case <-c.closed:
		return net.ErrClosed
	default:
		d.deadline.set(t)
		return nil
	}
}
