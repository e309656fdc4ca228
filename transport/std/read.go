package std

import (
	"net"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// Sizes of reads, in bytes. A read that fills its buffer is followed by one with the second size.
const (
	// Where a buffer is borrowed only for bytes that have arrived.
	readSize     = 16 << 10
	fullReadSize = 64 << 10

	// Where a buffer is held while waiting.
	waitSize     = 4 << 10
	fullWaitSize = 16 << 10
)

// pullState is what View and Read need when they wait. A connection with a Receiver has none.
type pullState struct {
	tryRead func(fd uintptr) bool // Conn.tryRead, allocated once
	into    []byte                // where Read wants the bytes; nil: in the view
	n       int                   // how many bytes were read into it
	tried   bool                  // the last wait has tried to read
}

// View returns the bytes that were read. They belong to the Conn, and are valid until Consume has
// taken the last of them. If there are none, View waits for some as transport.Conn says, or returns
// transport.ErrWouldBlock after Push.
func (c *Conn) View() ([]byte, error) {
	switch {
	case len(c.view) > 0:
		return c.view, nil
	case c.pump != nil:
		return nil, c.pushError()
	}
	c.wait(nil)
	return c.view, c.readErr
}

// Consume drops the first n bytes of the view. With the last byte it returns the buffer to the
// pool.
func (c *Conn) Consume(n int) {
	c.view = c.view[n:]
	if len(c.view) == 0 {
		c.dropView()
	}
}

func (c *Conn) dropView() {
	c.view = nil
	b := c.viewBuf
	c.viewBuf = nil
	switch {
	case b == nil:
	case c.pump != nil && c.raw == nil && c.stream == nil: // it needs a buffer to wait
		c.pump.spare.Put(b)
	default:
		b.Put()
	}
}

// Read takes bytes from the view or, if that is empty, reads directly into p. It waits as View does,
// and returns the same errors.
func (c *Conn) Read(p []byte) (int, error) {
	switch {
	case len(c.view) > 0:
		n := copy(p, c.view)
		c.Consume(n)
		return n, nil
	case c.pump != nil:
		return 0, c.pushError()
	}
	c.wait(p)
	return c.pull.n, c.readErr
}

// pushError returns what View and Read return after Push when there are no bytes.
func (c *Conn) pushError() error {
	if c.readErr != nil {
		return c.readErr
	}
	return transport.ErrWouldBlock
}

// wait waits for bytes and reads them into p, or into the view if p is nil.
func (c *Conn) wait(p []byte) {
	if c.pull == nil {
		c.pull = &pullState{tryRead: c.tryRead}
	}
	c.pull.into, c.pull.n, c.readErr = p, 0, nil
	if c.raw != nil {
		c.waitReadable()
	} else {
		c.readNetConn()
	}
	c.pull.into = nil
	if c.lingering.Load() {
		// Linger may have discarded bytes before these.
		c.dropView()
		c.pull.n, c.readErr = 0, net.ErrClosed
	}
}

// waitReadable reads as soon as the descriptor is readable. If the deadline has passed before the
// first attempt, it still reads what has arrived.
func (c *Conn) waitReadable() {
	c.pull.tried = false
	if err := c.raw.Read(c.pull.tryRead); err != nil {
		c.readErr = err
		if !c.pull.tried && isTimeout(err) {
			c.raw.Control(c.readWithoutWaiting)
		}
	}
}

// readWithoutWaiting replaces readErr if something has arrived.
func (c *Conn) readWithoutWaiting(fd uintptr) {
	timeout := c.readErr
	c.readErr = nil
	if !c.tryRead(fd) {
		c.readErr = timeout
	}
}

// readNetConn is wait for a net.Conn without a descriptor.
func (c *Conn) readNetConn() {
	if c.pull.into != nil {
		c.pull.n, c.readErr = c.readConn(c.pull.into)
		if c.pull.n > 0 {
			c.readErr = nil // the next read returns it again
		}
		return
	}
	if c.stream != nil {
		c.setView(c.readStream())
		return
	}
	b := buffer.Get(c.nextSize(waitSize, fullWaitSize))
	n, err := c.readConn(b.B[:cap(b.B)])
	c.setView(b, n, err)
}

func (c *Conn) nextSize(size, full int) int {
	if c.filled {
		return full
	}
	return size
}

// setView makes n bytes in b the view, or err what the read returned if there are none.
func (c *Conn) setView(b *buffer.Buffer, n int, err error) {
	c.filled = n == cap(b.B)
	if n <= 0 {
		b.Put()
		c.readErr = err
		return
	}
	c.viewBuf, c.view, c.readErr = b, b.B[:n], nil
}
