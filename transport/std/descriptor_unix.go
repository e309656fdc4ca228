//go:build unix

package std

import (
	"net"
	"syscall"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/socket"
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
// passed, and a peer that never stops sending must not prevent that.
//
// A read that does not fill its buffer has emptied the socket. Another one, only to learn that,
// would double the system calls of a connection that carries one message at a time. But the runtime
// reports an event only once, so the end of a stream that arrived together with the last bytes would
// go unnoticed. Therefore a busy connection is read again after recheckDelay, and any other at once.
func (p *pump) readAvailable(fd uintptr) bool {
	for !p.finished {
		b := buffer.Get(p.c.nextSize(readSize, fullReadSize))
		n, err := socket.Read(int(fd), b.B[:cap(b.B)])
		if err == syscall.EAGAIN {
			b.Put()
			if p.goroutine == used {
				p.goroutine = replaced
			}
			return p.goroutine == replaced || !p.c.beginWait()
		}
		p.deliver(b, n, err)
		if p.c.paused.Load() || p.c.mustCallAgain() || p.c.filled {
			return true
		}
		if !p.finished && p.busy() {
			return !p.c.beginWait()
		}
	}
	return true
}

// busy reports whether the previous bytes came less than recheckDelay ago. If so, it arranges a
// recheck.
func (p *pump) busy() bool {
	now := time.Now()
	busy := now.Sub(p.lastRead) < recheckDelay
	p.lastRead = now
	if busy && p.recheckAt.Sub(now) < recheckDelay/2 {
		p.setRecheck(now.Add(recheckDelay))
	}
	return busy
}

func (p *pump) setRecheck(at time.Time) {
	p.c.deadlineMu.Lock()
	p.recheckAt = at
	p.c.applyReadDeadlineLocked() // if this fails, the wait fails too
	p.c.deadlineMu.Unlock()
}

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
