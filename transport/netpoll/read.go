//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

const (
	// readSize is how much is read at once.
	readSize = 64 << 10

	// readAhead is how many bytes wait for the receiver when the rest is left with the
	// system.
	readAhead = 128 << 10
)

// input is the receiving side of a Conn.
type input struct {
	view []byte         // lent to the receiver, who alone uses it
	lent *buffer.Buffer // memory of the view; nil for early bytes

	mu       sync.Mutex     // guards what follows, and reading from the descriptor
	parked   parked         // in View, Read or Linger
	watch    *watch         // nil: what comes stays with the system
	next     *buffer.Buffer // what came since; nil: nothing
	end      error          // why nothing more comes
	deadline time.Time      // of reading, or of lingering
	look     time.Time      // when the deadlineTask is run; zero: it isn't
	complete bool           // all that will ever come is with the system
	over     bool           // closed or lingering: nothing is received any more
	closed   bool

	broken error // why what was queued could not be sent, to be told once

	lingering bool
	unsettled error // what it left undone

	push push
}

// arrive reads once what has come. It is called by the poller, and must not wait for anything
// but the lock, under which nobody waits for the poller.
func (t *Conn) arrive(w *watch) {
	i := &t.in
	i.mu.Lock()
	switch {
	case i.watch != w: // it has ended meanwhile
		i.mu.Unlock()
		return
	case i.mayWait():
		t.endWatch()
		i.mu.Unlock()
		return
	}
	t.read()
	if i.end != nil {
		t.endWatch()
	}
	i.parked.wake()
	t.call()
	lingering := i.lingering
	i.mu.Unlock()
	if lingering {
		t.settle()
	}
}

// mayWait reports whether what comes can be left with the system: nobody wants it now, or
// there is enough already. The lock is held.
func (i *input) mayWait() bool {
	return !i.over && (i.push.paused || i.push.finished || i.next != nil && len(i.next.B) >= readAhead)
}

// read reads once, and reports whether bytes came. The lock is held.
func (t *Conn) read() bool {
	i := &t.in
	b := buffer.Get(readSize)
	n, err := socket.Read(t.fd, b.B[:readSize])
	switch {
	case err == unix.EAGAIN:
	case err != nil:
		i.end = err
	case !i.over:
		b.B = b.B[:n]
		b = i.add(b)
	}
	if b != nil {
		b.Put()
	}
	return n > 0
}

// add puts the bytes of b behind those that came before. It returns b if it has no more use
// for it: little doesn't occupy much.
func (i *input) add(b *buffer.Buffer) *buffer.Buffer {
	n := len(b.B)
	switch {
	case i.next != nil:
		i.next.Grow(n)
	case n > readSize/2:
		i.next = b
		return nil
	default:
		i.next = buffer.Get(n)
	}
	i.next.B = append(i.next.B, b.B...)
	return b
}

// leave notes that the poller has ended the watch w, since all that will ever come is there,
// and reports whether that was news.
func (t *Conn) leave(w *watch) bool {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.watch != w {
		return false
	}
	i.watch, i.complete = nil, true
	i.parked.wake()
	t.call()
	return true
}

// want has the poller look again, unless it does, or there is a reason not to. The lock is
// held.
func (t *Conn) want() {
	i := &t.in
	if i.watch == nil && i.end == nil && !i.complete && !i.closed && !i.mayWait() {
		t.beginWatch()
	}
}

// View returns the bytes that came, or waits for some. With a Receiver it returns
// transport.ErrWouldBlock instead. The end of the stream is io.EOF, or an error of the system
// when it broke.
func (t *Conn) View() ([]byte, error) {
	i := &t.in
	if len(i.view) > 0 {
		return i.view, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for {
		switch {
		case i.over:
			return nil, net.ErrClosed
		case i.broken != nil && !i.push.paused:
			err := i.broken
			i.broken = nil
			return nil, &transport.SendError{Err: err}
		case i.push.paused, i.push.receiver != nil && passed(i.deadline):
			return nil, transport.ErrWouldBlock // also to a peer that never stops sending
		case i.next != nil:
			if !i.push.mayView() {
				return nil, transport.ErrWouldBlock
			}
			i.view, i.lent, i.next = i.next.B, i.next, nil
			t.want()
			return i.view, nil
		case i.end != nil:
			return nil, i.end
		case i.complete:
			t.readRest()
			continue
		case passed(i.deadline):
			return nil, os.ErrDeadlineExceeded
		case i.push.receiver != nil:
			return nil, transport.ErrWouldBlock
		}
		i.parked.wait(&i.mu)
	}
}

// readRest reads some of what is left with the system when the poller has gone, which ends
// with the end of the stream. The lock is held.
func (t *Conn) readRest() {
	if !t.read() && t.in.end == nil {
		t.in.end = io.EOF // the poller has said so
	}
}

// Consume drops n bytes of the view, and with the last one its memory.
func (t *Conn) Consume(n int) {
	i := &t.in
	i.view = i.view[n:]
	if len(i.view) > 0 {
		return
	}
	i.view = nil
	if i.lent != nil {
		i.lent.Put()
		i.lent = nil
	}
}

// Read copies bytes that came into p, waiting as View does.
func (t *Conn) Read(p []byte) (int, error) {
	view, err := t.View()
	if err != nil {
		return 0, err
	}
	n := copy(p, view)
	t.Consume(n)
	return n, nil
}

// dropNext forgets what nobody will receive.
func (i *input) dropNext() {
	if i.next != nil {
		i.next.Put()
		i.next = nil
	}
}
