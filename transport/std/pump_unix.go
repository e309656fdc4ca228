//go:build unix

package std

import (
	"syscall"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
)

// drain passes on what can be read, and reports whether that was the end. After a full
// buffer it is, too: only a new wait notices that the deadline has passed, and a peer that
// sends without end must not keep it from that.
//
// A read that doesn't fill the buffer has emptied the socket, and another only to be
// told so would double the system calls of a connection that carries one message at
// a time. But the runtime reports an event once: an end of the stream that arrived
// together with the last bytes would go unseen. So a busy connection is left at
// that and looked at again later, and any other is read once more at once.
func (p *pump) drain(fd uintptr) bool {
	for !p.done {
		b := buffer.Get(p.t.nextSize(readSize, fullSize))
		n, err := socket.Read(int(fd), b.B[:cap(b.B)])
		if err == syscall.EAGAIN {
			b.Put()
			p.worn = p.worked
			return p.worn
		}
		p.pass(b, n, err)
		if p.t.again.Load() || p.t.filled {
			return true
		}
		if !p.done && p.busy() {
			return false
		}
	}
	return true
}

// busy reports whether bytes have come shortly before these, and sees to it that the
// connection is looked at again.
func (p *pump) busy() bool {
	now := time.Now()
	busy := now.Sub(p.lastRead) < lookAgain
	p.lastRead = now
	if busy && p.recheck.Sub(now) < lookAgain/2 {
		p.setRecheck(now.Add(lookAgain))
	}
	return busy
}

func (p *pump) setRecheck(at time.Time) {
	p.t.deadlines.Lock()
	p.recheck = at
	p.t.applyDeadline() // if it fails, so does the wait
	p.t.deadlines.Unlock()
}
