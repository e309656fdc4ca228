//go:build linux

package epoll

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/buffer"
)

// An input has bytes that were received and not consumed, of a connection that is
// pulled, or pushed and cut off in the middle, or in the loop's hands.
type input struct {
	view    []byte
	staging *buffer.Buffer // memory of the view; nil: not ours to give back
	err     error          // what comes after the view

	// For a goroutine that pulls.
	ready  atomic.Bool   // there may be something to read
	over   atomic.Bool   // the peer has ended its direction, or the stream broke
	signal chan struct{} // look again
	timer  *time.Timer   // makes the signal when the deadline has passed
}

// consume drops n bytes of the view. With the last one the memory is given back.
func (in *input) consume(n int) {
	in.view = in.view[n:]
	if len(in.view) == 0 {
		in.drop()
	}
}

func (in *input) drop() {
	in.view = nil
	if in.staging != nil {
		in.staging.Put()
		in.staging = nil
	}
}

// empty reports whether there is neither a view nor an error to come.
func (in *input) empty() bool { return len(in.view) == 0 && in.err == nil }

// keep returns an input with a copy of the view.
func (in *input) keep() *input {
	if len(in.view) == 0 {
		return &input{err: in.err}
	}
	b := buffer.Get(len(in.view))
	b.B = append(b.B, in.view...)
	return &input{view: b.B, staging: b, err: in.err}
}

// arrived tells who pulls of an event.
func (in *input) arrived(events uint32) {
	if events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0 {
		in.over.Store(true)
	}
	in.ready.Store(true)
	in.wake()
}

// wake makes who is parked look again. It may be called from any goroutine.
func (in *input) wake() {
	select {
	case in.signal <- struct{}{}:
	default: // it will anyway
	}
}

// park waits for a wake, or until the deadline.
func (in *input) park(deadline instant) {
	if deadline == 0 {
		<-in.signal
		return
	}
	left := time.Duration(deadline - now())
	if in.timer == nil {
		in.timer = time.AfterFunc(left, in.wake)
	} else {
		in.timer.Reset(left)
	}
	<-in.signal
	in.timer.Stop()
}
