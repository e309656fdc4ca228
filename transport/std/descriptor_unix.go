//go:build unix

package std

import (
	"net"
	"syscall"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/internal/timing"
)

// rawConn returns access to the descriptor of a socket, or nil if conn is not one.
func rawConn(conn net.Conn) syscall.RawConn {
	if !socket.HasDescriptor(conn) {
		return nil
	}
	raw, err := conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// tryRead tries to read once, and reports whether that had a result. If the bytes go to the view, it
// borrows a buffer only for the attempt.
//
// It has two functions because the stack must stay small here: see TestPullingGoroutineKeepsStack.
func (c *Conn) tryRead(fd uintptr) bool {
	c.pull.tried = true
	if c.pull.into != nil {
		return c.tryReadDirect(fd)
	}
	b := buffer.Get(c.nextSize(readSize, fullReadSize))
	n, err := socket.Read(int(fd), b.B[:cap(b.B)])
	if err == syscall.EAGAIN {
		b.Put()
		return false
	}
	c.setView(b, n, err)
	return true
}

// tryReadDirect is tryRead into the memory that Read was given.
func (c *Conn) tryReadDirect(fd uintptr) bool {
	n, err := socket.Read(int(fd), c.pull.into)
	if err == syscall.EAGAIN {
		return false
	}
	c.pull.n, c.readErr = n, err
	return true
}

// readAvailable reads what has arrived and delivers it. It returns true to end the wait in the
// syscall.RawConn: after a full buffer too, since only a new wait notices that the deadline has
// passed, and a peer that never stops sending must not prevent that. And it returns true for the stack
// to grow, outside the calls of the wait.
//
// A read that does not fill its buffer has emptied the socket. Another one, only to learn that,
// would double the system calls of a connection that carries one message at a time. But the runtime
// reports an event only once, so the end of a stream that arrived together with the last bytes would
// go unnoticed. Therefore a busy connection is read again when it has been quiet for recheckDelay, and
// any other at once: by the goroutine that replaces this one, which has to read before it waits anyway.
func (p *pump) readAvailable(fd uintptr) bool {
	if p.goroutine == waits {
		p.goroutine = woken
		return true
	}
	b := buffer.Get(p.c.nextSize(readSize, fullReadSize))
	n, err := socket.Read(int(fd), b.B[:cap(b.B)])
	if err == syscall.EAGAIN {
		b.Put()
		if p.goroutine == used {
			p.goroutine = replaced
			return true
		}
		p.goroutine = waits
		return !p.c.beginWait()
	}
	p.deliver(b, n, err)
	switch {
	case p.finished, p.c.paused.Load(), p.c.mustCallAgain(), p.c.filled:
		return true
	case p.busy():
		return !p.c.beginWait()
	}
	p.goroutine = replaced
	return true
}

// busy reports whether the previous bytes came less than recheckDelay ago. If so, it arranges a
// recheck.
func (p *pump) busy() bool {
	now := timing.Now()
	busy := now-timing.Instant(p.lastRead.Swap(int64(now))) < timing.Instant(recheckDelay)
	if busy && !p.rechecks.Load() {
		p.rechecks.Store(true)
		rechecks.Add(recheckDelay, (*recheck)(p))
	}
	return busy
}

// rechecks runs the rechecks of all connections of the process. Deadlines of the net.Conns would have
// to be moved again and again.
var rechecks = timing.NewScheduler()

// A recheck is the timing.Task that has a pump read again when its connection is not busy any more.
type recheck pump

// Run makes a recheck a timing.Task.
func (r *recheck) Run() time.Duration {
	p := (*pump)(r)
	quiet := time.Duration(timing.Now() - timing.Instant(p.lastRead.Load()))
	if quiet < recheckDelay {
		return recheckDelay - quiet
	}
	p.rechecks.Store(false)
	p.c.deadlineMu.Lock()
	defer p.c.deadlineMu.Unlock()
	p.c.endWaitLocked()
	return 0
}

// writeDirectly writes what the system takes without waiting. It is called by the pump, which is using
// the descriptor.
func (c *Conn) writeDirectly(p []byte) (int, error) { return socket.Write(int(c.fd), p) }

// writeAvailable writes what the system takes without waiting. It returns true: the syscall.RawConn
// is not to wait.
func (w *pendingWrite) writeAvailable(fd uintptr) bool {
	n, err := socket.Write(int(fd), w.rest)
	w.rest, w.err = w.rest[n:], err
	return true
}

// shutdown ends both directions of the stream, so that calls that wait for the peer return. The
// descriptor stays open.
func (c *Conn) shutdown() {
	c.raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
}
