//go:build linux

package epoll

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/socket"
	"github.com/seed004e8d11/websock/transport"
)

// Push has the loop call r, at once and then for all that comes.
func (c *Conn) Push(r transport.Receiver) error {
	if !c.uses.acquire() { // until the loop has done with the connection
		return net.ErrClosed
	}
	c.receiver = r
	c.mu.Lock()
	c.state.Or(pushed)
	c.schedule()
	c.mu.Unlock()
	c.call()
	return nil
}

// Pause leaves what comes with the system until Resume.
func (c *Conn) Pause() { c.state.Or(paused) }

// Resume ends what Pause began.
func (c *Conn) Resume() {
	if c.state.And(^uint32(paused))&pushed != 0 {
		c.call()
	}
}

// Yield has the loop call the receiver again in its next turn. It is the loop's goroutine that
// calls it.
func (c *Conn) Yield() bool {
	if c.state.Or(yielded)&yielded == 0 {
		c.loop.turn.yielded = append(c.loop.turn.yielded, c)
	}
	return true
}

// call has the loop answer soon.
func (c *Conn) call() {
	if c.state.Or(called)&called == 0 {
		c.loop.call(c)
	}
}

// answer sees to what other goroutines want of the loop: the first bytes, what a pause has
// left, the end. So it does with what a connection that has yielded has left.
func (c *Conn) answer() {
	c.state.And(^uint32(called | yielded))
	switch {
	case c.is(ended):
		c.leave()
	case c.uses.closed():
		c.over(net.ErrClosed)
	case !c.is(paused):
		c.deliverKept()
		c.rearm()
	}
}

// receive reads once and hands over what came. If there is more, epoll says so again.
func (c *Conn) receive() {
	if c.in != nil {
		c.deliverKept()
		return
	}
	n, err := socket.Read(int(c.fd), c.loop.memory)
	if err != unix.EAGAIN {
		c.deliver(c.loop.memory[:n], err)
	}
}

// deliver gives the receiver a view of the loop's memory, or an error.
func (c *Conn) deliver(view []byte, err error) {
	in := &c.loop.in
	in.view, in.err = view, err
	c.in = in
	failed := c.callReceiver()
	c.in = nil
	if failed == nil && !in.empty() {
		c.in = in.keep()
	}
	in.view, in.err = nil, nil
	if failed != nil {
		c.end()
	}
}

// callReceiver has the receiver take what is there. It may not return.
func (c *Conn) callReceiver() error {
	c.loop.turn.serving = c
	err := c.receiver.Readable()
	c.loop.turn.serving = nil
	return err
}

// deliverKept gives the receiver what was left before, which may be nothing.
func (c *Conn) deliverKept() {
	if c.in == nil {
		c.deliver(nil, nil)
		return
	}
	failed := c.callReceiver()
	if c.in.empty() {
		c.in = nil
	}
	if failed != nil {
		c.end()
	}
}

// over tells the receiver that it is over, whatever was kept.
func (c *Conn) over(err error) {
	c.loop.turn.serving = c
	c.receiver.End(err)
	c.loop.turn.serving = nil
	c.end()
}

// end ends the connection when the receiver is told or has said that it is over.
func (c *Conn) end() {
	if c.in != nil {
		c.in.drop()
		c.in = nil
	}
	c.state.Or(ended)
	c.receiver.Finish() // it doesn't wait: neither Linger nor Close does
	c.rearm()
	c.leave()
}

// leave gives up the loop's use of a descriptor that is closed.
func (c *Conn) leave() {
	if c.uses.closed() && c.state.Or(left)&left == 0 {
		c.release()
	}
}
