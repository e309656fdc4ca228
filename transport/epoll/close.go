//go:build linux

package epoll

import (
	"net"
	"time"

	"github.com/seed004e8d11/websock/internal/socket"
	"golang.org/x/sys/unix"
)

// Close ends the stream at once. What is queued is lost. The error is always nil. The socket is
// shut down now; its descriptor is closed by whoever has done with it last, which may be the
// loop, after a receiver that is being called.
func (c *Conn) Close() error {
	c.close()
	if c.is(pushed) {
		c.call()
	}
	return nil
}

func (c *Conn) close() {
	c.mu.Lock()
	if c.other == nil && !c.uses.closed() {
		c.output().local = c.askLocal()
	}
	first, others := c.uses.close()
	if !first {
		c.mu.Unlock()
		return
	}
	c.fail(net.ErrClosed)
	if c.out.done != nil {
		close(c.out.done)
	}
	if c.is(pulled) && !c.is(pushed) {
		c.in.wake()
	}
	c.mu.Unlock()
	if others {
		unix.Shutdown(int(c.fd), unix.SHUT_RDWR)
	}
	c.release()
}

// CloseWrite ends our direction, behind what is queued.
func (c *Conn) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.Or(shutting)
	if c.out.queued() > 0 {
		return nil
	}
	return c.shutdown()
}

func (c *Conn) shutdown() error {
	if !c.uses.acquire() {
		return net.ErrClosed
	}
	defer c.release()
	return unix.Shutdown(int(c.fd), unix.SHUT_WR)
}

// Linger has the loop discard what still comes, until what is queued has left and the peer
// has ended the stream, or d has passed; then it closes. When pushed it returns at once.
func (c *Conn) Linger(d time.Duration) error {
	c.mu.Lock()
	if c.uses.closed() || c.is(lingering) {
		c.mu.Unlock()
		return nil
	}
	c.state.Or(lingering)
	c.readDeadline = instantOf(time.Now().Add(d))
	waits := !c.is(pushed)
	done := make(chan struct{})
	if waits {
		c.output().done = done
		if c.is(pulled) {
			c.in.wake()
		}
	}
	c.schedule()
	err := c.arm()
	out := c.out
	c.mu.Unlock()
	if err != nil {
		c.stopLingering(err)
	}
	if !waits {
		return nil
	}
	<-done
	return out.ended
}

// discard reads what nobody wants, and stops when the peer has ended the stream.
func (c *Conn) discard() {
	if !c.uses.acquire() {
		return
	}
	_, err := socket.Read(int(c.fd), c.loop.memory)
	c.release()
	if err == nil || err == unix.EAGAIN {
		return
	}
	c.mu.Lock()
	c.state.Or(peerEnded)
	waiting := c.out.queued() > 0
	c.arm()
	c.mu.Unlock()
	if !waiting {
		c.stopLingering(nil)
	}
}

// stopLingering closes. err is what Linger returns.
func (c *Conn) stopLingering(err error) {
	c.mu.Lock()
	if c.out != nil && !c.uses.closed() { // else Linger has returned
		c.out.ended = err
	}
	c.mu.Unlock()
	c.Close()
}
