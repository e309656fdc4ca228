package transporttest_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
)

// A Factory carries TCP and Unix sockets. Conns over anything else are left to transport/std.
type Factory struct{}

func (Factory) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	switch conn := conn.(type) {
	case *net.TCPConn:
		conn.SetLinger(-1) // so that Close does not wait for the peer
	case *net.UnixConn:
	default:
		return nil, transport.ErrUnsupported
	}
	return &Conn{Conn: conn, view: early, changed: make(chan struct{}, 1)}, nil
}

// A Conn is a transport.Conn and a transport.Pusher. Its net.Conn provides the addresses and the write
// deadline.
type Conn struct {
	net.Conn
	view   []byte // received and not consumed
	memory []byte // of the view, unless that is early
	err    error  // that ended the stream, of a Conn that pushes
	pushes bool   // Push was called

	mu       sync.Mutex
	deadline time.Time // of receiving
	paused   bool
	again    bool          // Readable may have left something, here or in a TLS connection above
	ended    bool          // Close or Linger was called
	changed  chan struct{} // has an element when one of these has changed
}

// fill reads into the view.
func (c *Conn) fill() error {
	if c.memory == nil {
		c.memory = make([]byte, 4096)
	}
	n, err := c.Conn.Read(c.memory)
	c.view = c.memory[:n]
	if n > 0 {
		return nil
	}
	return err
}

func (c *Conn) View() ([]byte, error) {
	var err error
	switch {
	case len(c.view) > 0:
	case c.pushes:
		err = c.pushErr()
	default:
		err = c.fill()
	}
	return c.view, err
}

func (c *Conn) Consume(n int) { c.view = c.view[n:] }

func (c *Conn) Read(p []byte) (int, error) {
	switch {
	case len(c.view) > 0:
		n := copy(p, c.view)
		c.Consume(n)
		return n, nil
	case c.pushes:
		return 0, c.pushErr()
	}
	return c.Conn.Read(p)
}

// pushErr is what a Conn that pushes returns when the view is empty.
func (c *Conn) pushErr() error {
	if c.err != nil {
		return c.err
	}
	return transport.ErrWouldBlock
}

func (c *Conn) Writev(bufs ...[]byte) error {
	for _, b := range bufs { // net.Buffers would make one write of them
		if _, err := c.Conn.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) Queued() int { return 0 }

func (c *Conn) TLS() *tls.ConnectionState { return nil }

// change changes what the mutex protects, and wakes up a goroutine that waits for that.
func (c *Conn) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

func (c *Conn) SetReadDeadline(t time.Time) (err error) {
	c.change(func() {
		if err = net.ErrClosed; !c.ended {
			c.deadline, err = t, c.Conn.SetReadDeadline(t)
		}
	})
	return err
}

func (c *Conn) CloseWrite() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

func (c *Conn) Close() error {
	c.change(func() { c.ended = true })
	return c.Conn.Close()
}

func (c *Conn) Linger(d time.Duration) error {
	defer c.Close()
	c.change(func() {
		c.ended = true
		c.Conn.SetReadDeadline(time.Now().Add(d))
	})
	if _, err := io.Copy(io.Discard, c.Conn); errors.Is(err, os.ErrDeadlineExceeded) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Push starts the goroutine that calls the Receiver.
func (c *Conn) Push(r transport.Receiver) error {
	c.pushes = true
	go c.push(r)
	return nil
}

func (c *Conn) push(r transport.Receiver) {
	defer r.Finish() // also if a Handler calls runtime.Goexit
	for {
		if err := c.waitForTurn(); err != nil {
			r.End(err)
			return
		}
		if r.Readable() != nil {
			return
		}
		if !c.mustCallAgain() {
			err := c.fill()
			if !errors.Is(err, os.ErrDeadlineExceeded) { // waitForTurn knows the latest deadline
				c.err = err
			}
		}
	}
}

// mustCallAgain reports whether Readable is to be called before more is read.
func (c *Conn) mustCallAgain() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	again := c.again || len(c.view) > 0
	if c.again && !c.ended { // after Resume
		c.Conn.SetReadDeadline(c.deadline)
	}
	c.again = false
	return again
}

// waitForTurn waits until there is no pause, and returns an error if the Receiver's End is due.
func (c *Conn) waitForTurn() error {
	for {
		c.mu.Lock()
		deadline, paused, ended := c.deadline, c.paused, c.ended
		c.mu.Unlock()
		var timeout <-chan time.Time
		if !deadline.IsZero() {
			timeout = time.After(time.Until(deadline))
		}
		switch {
		case ended:
			return net.ErrClosed
		case !deadline.IsZero() && time.Until(deadline) <= 0:
			return os.ErrDeadlineExceeded
		case !paused:
			return nil
		}
		select {
		case <-c.changed:
		case <-timeout:
		}
	}
}

func (c *Conn) Pause() { c.change(func() { c.paused, c.again = true, true }) }

// Resume also ends a read under way, by a deadline that mustCallAgain takes back.
func (c *Conn) Resume() {
	c.change(func() {
		c.paused, c.again = false, true
		if !c.ended {
			c.Conn.SetReadDeadline(time.Unix(1, 0))
		}
	})
}

func (c *Conn) Yield() bool {
	c.change(func() { c.again = true })
	return true
}

// A transport with a goroutine for each connection that has a Handler. docs/own-transport.md explains it.
func Example() {
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	defer listener.Close()
	go func() {
		conn, _ := listener.Accept()
		conn.Write([]byte("\x81\x05Hello\x88\x02\x03\xe8"))
		conn.Read(make([]byte, 8)) // the answer to the close frame
		conn.Close()
	}()
	conn, _ := net.Dial("tcp", listener.Addr().String())
	carrier, _ := websock.Attach(Factory{}, conn, nil)
	c := websock.NewConn(carrier, websock.Client, websock.Options{})
	closed := make(chan error)
	c.SetHandler(websock.Messages(
		func(_ *websock.Conn, _ websock.Opcode, msg []byte) { fmt.Println(string(msg)) },
		func(_ *websock.Conn, err error) { closed <- err },
	))
	fmt.Println(<-closed)
	// Output:
	// Hello
	// websock: closed by the peer: 1000 (normal closure)
}
