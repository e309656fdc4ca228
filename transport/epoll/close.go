//go:build linux

package epoll

import (
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/timing"
)

// Close ends the stream at once. What is queued is lost. The error is always nil. The socket is
// shut down before Close returns; its descriptor is closed after the last call that uses it, which
// may be the loop's.
func (c *Conn) Close() error {
	c.close()
	if c.has(pushed) {
		c.schedule()
	}
	return nil
}

func (c *Conn) close() {
	c.mu.Lock()
	if c.otherAddrs == nil && !c.ref.closed() {
		c.ensureOutputLocked().local = c.systemLocalAddr()
	}
	c.writeBehindLocked()
	first, others := c.ref.close()
	if !first {
		c.mu.Unlock()
		return
	}
	c.failLocked(net.ErrClosed)
	if c.out.lingerDone != nil {
		close(c.out.lingerDone)
	}
	if c.has(pulled) && !c.has(pushed) {
		c.in.waiter.Wake()
	}
	c.mu.Unlock()
	if others {
		unix.Shutdown(int(c.fd), unix.SHUT_RDWR)
	}
	c.releaseFd()
}

// CloseWrite ends our direction of the stream after what is queued.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBehindLocked()
	c.state.Or(writeClosed)
	if c.out.queued() > 0 {
		return nil
	}
	return c.shutdownWriteLocked()
}

func (c *Conn) shutdownWriteLocked() error {
	if c.ref.closed() {
		return net.ErrClosed
	}
	return unix.Shutdown(int(c.fd), unix.SHUT_WR)
}

// Linger has the loop discard what still arrives, until what is queued has been sent and the peer
// has ended the stream, or d has passed; then it closes. With a receiver it returns at once.
func (c *Conn) Linger(d time.Duration) error {
	c.mu.Lock()
	if c.ref.closed() || c.has(lingering) {
		c.mu.Unlock()
		return nil
	}
	c.writeBehindLocked()
	c.state.Or(lingering)
	c.readDeadline = timing.InstantOf(time.Now().Add(d))
	waits := !c.has(pushed)
	done := make(chan struct{})
	if waits {
		c.ensureOutputLocked().lingerDone = done
		if c.has(pulled) {
			c.in.waiter.Wake()
		}
	}
	c.scheduleDeadlineLocked()
	err := c.armLocked()
	out := c.out
	c.mu.Unlock()
	if err != nil {
		c.finishLinger(err)
	}
	if !waits {
		return nil
	}
	<-done
	return out.lingerErr
}

// discardInput reads what arrives while lingering, until the peer has ended the stream.
func (c *Conn) discardInput(a *arrival) {
	if !a.received {
		if !c.ref.acquire() {
			return
		}
		a.receive(c.loop.readBuf)
		c.releaseFd()
	}
	if a.err == nil || a.err == unix.EAGAIN {
		return
	}
	c.mu.Lock()
	c.state.Or(peerClosed)
	queued := c.out.queued() > 0
	c.armLocked()
	c.mu.Unlock()
	if !queued {
		c.finishLinger(nil)
	}
}

// finishLinger closes. err is what Linger returns.
func (c *Conn) finishLinger(err error) {
	c.mu.Lock()
	if c.out != nil && !c.ref.closed() { // else Linger has returned
		c.out.lingerErr = err
	}
	c.mu.Unlock()
	c.Close()
}
