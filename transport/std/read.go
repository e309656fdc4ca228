package std

import (
	"net"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// View returns the bytes that were read, or waits for some.
func (t *Conn) View() ([]byte, error) {
	switch {
	case len(t.view) > 0:
		return t.view, nil
	case t.pump != nil:
		return nil, t.pushError()
	}
	t.wait(nil)
	return t.view, t.err
}

// A pulling is what a read of who pulls needs.
type pulling struct {
	read  func(fd uintptr) bool // readRaw, as the syscall.RawConn wants it
	into  []byte                // where a direct read goes; nil: to the view
	n     int                   // result of a direct read
	tried bool                  // the last wait made at least one attempt
}

// Consume drops n bytes of the view, and with the last one its buffer.
func (t *Conn) Consume(n int) {
	t.view = t.view[n:]
	if len(t.view) == 0 {
		t.dropView()
	}
}

func (t *Conn) dropView() {
	t.view = nil
	if t.staging != nil {
		t.staging.Put()
		t.staging = nil
	}
}

// Read reads into p, waiting until there is something to read.
func (t *Conn) Read(p []byte) (int, error) {
	switch {
	case len(t.view) > 0:
		n := copy(p, t.view)
		t.Consume(n)
		return n, nil
	case t.pump != nil:
		return 0, t.pushError()
	}
	t.wait(p)
	return t.pull.n, t.err
}

// wait waits for bytes to read and reads them into p, or to the view if p is nil.
func (t *Conn) wait(p []byte) {
	if t.pull == nil {
		t.pull = &pulling{read: t.readRaw}
	}
	t.pull.into, t.pull.n, t.err = p, 0, nil
	if t.raw != nil {
		t.waitRaw()
	} else {
		t.readNet()
	}
	t.pull.into = nil
	if t.lingering.Load() {
		// Linger may have taken bytes from the middle of the stream.
		t.dropView()
		t.pull.n, t.err = 0, net.ErrClosed
	}
}

// waitRaw reads once the descriptor is readable. A deadline that has passed
// already doesn't hide bytes that are there.
func (t *Conn) waitRaw() {
	t.pull.tried = false
	if err := t.raw.Read(t.pull.read); err != nil {
		t.err = err
		if !t.pull.tried && timedOut(err) {
			t.raw.Control(t.try)
		}
	}
}

// try reads without waiting.
func (t *Conn) try(fd uintptr) {
	deadline := t.err
	t.err = nil
	if !t.readRaw(fd) {
		t.err = deadline
	}
}

// readNet is wait for a net.Conn that can only be asked to read.
func (t *Conn) readNet() {
	if t.pull.into != nil {
		t.pull.n, t.err = t.conn.Read(t.pull.into)
		if t.pull.n > 0 {
			t.err = nil // it will come again
		}
		return
	}
	b := buffer.Get(t.nextSize(waitSize, fullWaitSize))
	n, err := t.conn.Read(b.B[:cap(b.B)])
	t.stage(b, n, err)
}

// nextSize returns how much memory to read into: full when the last read has filled its own.
func (t *Conn) nextSize(size, full int) int {
	if t.filled {
		return full
	}
	return size
}

// stage makes n bytes in b the view.
func (t *Conn) stage(b *buffer.Buffer, n int, err error) {
	t.filled = n == cap(b.B)
	if n <= 0 {
		b.Put()
		t.err = err
		return
	}
	t.staging, t.view, t.err = b, b.B[:n], nil
}

var _ interface {
	transport.Conn
	transport.Conn
	transport.Pusher
	transport.Pusher
	transport.Pusher
} = (*Conn)(nil)
