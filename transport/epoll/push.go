//go:build linux

package epoll

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/transport"
)

// Push has the loop call r, at once and then whenever something arrives. After Close it returns
// net.ErrClosed.
func (c *Conn) Push(r transport.Receiver) error {
	if c.has(pushed) { // and finished
		if c.ref.closed() {
			return net.ErrClosed
		}
	} else if !c.ref.acquire() { // released by detach
		return net.ErrClosed
	}
	c.receiver = r
	c.mu.Lock()
	c.state.Or(pushed)
	c.state.And(^uint32(finished))
	c.scheduleDeadlineLocked()
	c.mu.Unlock()
	c.schedule()
	return nil
}

// Pause leaves what arrives with the system until Resume.
func (c *Conn) Pause() { c.state.Or(paused) }

// Resume ends a pause.
func (c *Conn) Resume() {
	if c.state.And(^uint32(paused))&pushed != 0 {
		c.schedule()
	}
}

// Yield has the loop call the receiver again in its next turn. It is called by the loop's
// goroutine.
func (c *Conn) Yield() bool {
	if c.state.Or(yielded)&yielded == 0 {
		c.loop.turn.yielded = append(c.loop.turn.yielded, c)
	}
	return true
}

// schedule has the loop call runScheduled soon. It may be called from any goroutine.
func (c *Conn) schedule() {
	if c.state.Or(scheduled)&scheduled == 0 {
		c.loop.schedule(c)
	}
}

// runScheduled does what other goroutines want the loop to do: it calls the receiver for the first
// time, after a pause, or at the end. It also goes on with a connection that has yielded.
func (c *Conn) runScheduled() {
	c.state.And(^uint32(scheduled | yielded))
	switch {
	case c.has(finished):
		c.detach()
	case c.ref.closed():
		c.endReceiver(net.ErrClosed)
	case !c.has(paused):
		c.deliverKept()
		c.rearm()
	}
}

// receive delivers what has arrived, as far as one read gets it. If there is more, epoll reports it
// again.
func (c *Conn) receive(a *arrival) {
	if c.in != nil {
		c.deliverKept()
		return
	}
	if !a.received {
		a.receive(c.loop.readBuf)
	}
	if a.err != unix.EAGAIN {
		c.deliver(a.view, a.err)
	}
}

// keep keeps what was received before a pause began.
func (c *Conn) keep(a *arrival) {
	if a.received && a.err != unix.EAGAIN {
		in := input{view: a.view, err: a.err}
		c.in = in.clone()
	}
}

// deliver calls the receiver with a view of the loop's memory, or an error. What the receiver
// leaves of the view is copied.
func (c *Conn) deliver(view []byte, err error) {
	in := &c.loop.in
	in.view, in.err = view, err
	c.in = in
	failed := c.callReceiver()
	if failed != nil {
		in.view, in.err = nil, nil
	}
	c.keepInput()
	if failed != nil {
		c.finish()
	}
}

// keepInput makes what the receiver has left of an input of the loop the connection's own.
func (c *Conn) keepInput() {
	if in := &c.loop.in; c.in == in {
		c.in = nil
		if !in.empty() {
			c.in = in.clone()
		}
		in.view, in.err = nil, nil
	}
}

// deliverKept calls the receiver with what it has left before, which may be nothing.
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
		c.finish()
	}
}

// callReceiver calls Readable, which may end the goroutine instead of returning: then resume
// finishes the connection.
func (c *Conn) callReceiver() error {
	c.loop.turn.calling = c
	err := c.receiver.Readable()
	c.loop.turn.calling = nil
	return err
}

// endReceiver calls End, whatever bytes were kept.
func (c *Conn) endReceiver(err error) {
	c.loop.turn.calling = c
	c.receiver.End(err)
	c.loop.turn.calling = nil
	c.finish()
}

// finish calls Finish after End, when Readable has returned an error, or when one of them has ended
// the loop's goroutine. After that, the receiver may call Push in Finish: then runScheduled goes on.
func (c *Conn) finish() {
	c.state.Or(finished)
	c.receiver.Finish() // doesn't block, since neither Linger nor Close does
	if !c.has(finished) {
		return
	}
	if c.in != nil {
		c.in.drop()
		c.in = nil
	}
	c.rearm()
	c.detach()
}

// detach ends the loop's use of the descriptor after Close.
func (c *Conn) detach() {
	if c.ref.closed() && c.state.Or(detached)&detached == 0 {
		c.releaseFd()
	}
}
