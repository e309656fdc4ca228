//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

const (
	// readAhead is how many bytes may wait for the receiver before netpoll is told
	// to leave the rest with the system.
	readAhead = 64 << 10

	// takeSize is how much is taken from netpoll at once. What lies across two of
	// its buffers it copies before, so that it shouldn't be much.
	takeSize = 8 << 10
)

// input is the receiving side of a Conn. All that netpoll has read is copied out of
// its buffers while it calls, and nothing else ever touches them: they are gone when
// the connection ends, and the rest of this one lives on.
type input struct {
	view []byte         // lent to the receiver, who alone uses it
	lent *buffer.Buffer // memory of the view; nil for early bytes

	mu       sync.Mutex     // guards what follows
	parked   parked         // in View, Read or Linger
	next     *buffer.Buffer // what came since; nil: nothing
	end      error          // why nothing more comes
	deadline time.Time      // of reading, or of lingering
	look     time.Time      // when the wheel looks at it; zero: it doesn't
	held     bool           // netpoll reads no more
	over     bool           // closed or lingering: nothing is received any more
	closed   bool

	lingering bool
	unsettled error // what it left undone

	push push
}

// arrived takes what netpoll has read. netpoll calls it again, without end, as long
// as something is left.
func (t *Conn) arrived(from netpoll.Reader) {
	i := &t.in
	i.mu.Lock()
	n := from.Len()
	if i.over || i.push.finished {
		from.Skip(n)
	} else {
		i.take(from, n)
		if len(i.next.B) >= readAhead {
			t.hold()
		}
	}
	i.parked.wake()
	pushed := i.push.receiver != nil
	i.mu.Unlock()
	from.Release()
	if pushed {
		t.receive()
	}
}

// take moves n bytes that are there.
func (i *input) take(from netpoll.Reader, n int) {
	if i.next == nil {
		i.next = buffer.Get(n)
	} else {
		i.next.Grow(n)
	}
	for n > 0 {
		p, err := from.Peek(min(n, takeSize))
		if err != nil {
			return
		}
		i.next.B = append(i.next.B, p...)
		from.Skip(len(p))
		n -= len(p)
	}
}

// hungUp notes that netpoll is about to close the descriptor. All that came before
// has been taken.
func (t *Conn) hungUp() {
	t.out.keepOpen()
	i := &t.in
	i.mu.Lock()
	i.end = io.EOF
	i.parked.wake()
	pushed := i.push.receiver != nil
	i.mu.Unlock()
	if pushed {
		go t.receive()
	}
	t.settle()
}

// View returns the bytes that came, copied once from netpoll's buffers, or waits for
// some. With a Receiver it returns engine.ErrWouldBlock instead. The end of the
// stream is io.EOF, whatever the reason: netpoll doesn't tell it.
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
		case i.push.paused:
			return nil, engine.ErrWouldBlock
		case i.next != nil:
			i.view, i.lent, i.next = i.next.B, i.next, nil
			t.release()
			return i.view, nil
		case i.end != nil:
			return nil, i.end
		case passed(i.deadline):
			return nil, os.ErrDeadlineExceeded
		case i.push.receiver != nil:
			return nil, engine.ErrWouldBlock
		}
		i.parked.wait(&i.mu)
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
