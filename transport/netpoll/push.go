//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"os"
	"runtime"
	"sync"

	"github.com/seed004e8d11/websock/transport"
)

// push is what a Conn remembers of its Receiver.
type push struct {
	receiver  transport.Receiver
	receiving bool // Receive is being called
	again     bool // and must be called again, for what came meanwhile
	viewed    bool // and has had its view
	finished  bool // Receive returned an error, or End was called
	paused    bool
	yielded   bool // and there is more to do, but not at once
}

// Push has the crew call r from now on.
func (t *Conn) Push(r transport.Receiver) error {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.push.receiver = r
	t.call()
	return nil
}

// call has the crew call the Receiver, if there is one: a poller must not wait, and Handlers
// do what they like. If it is being called already, whoever does goes on. The lock is held.
func (t *Conn) call() {
	p := &t.in.push
	switch {
	case p.receiving:
		p.again = true
	case p.receiver != nil && !p.finished && t.in.mayCall():
		p.receiving, p.viewed = true, false
		callers.call(t)
	}
}

// mayCall reports whether the Receiver isn't to be left alone. The lock is held.
func (i *input) mayCall() bool { return !i.push.paused || i.whyOver() != nil }

// receive calls the Receiver until it has seen all that can be seen. If a Handler ends the
// goroutine, the connection is over, and it is another that finishes it.
func (t *Conn) receive() {
	r := t.in.push.receiver
	returned := false
	defer func() {
		if !returned {
			go t.finish(r)
		}
	}()
	over := t.callReceiver(r)
	for !over && t.receiveMore() {
		if t.in.push.yielded {
			t.in.push.yielded = false
			runtime.Gosched()
		}
		over = t.callReceiver(r)
	}
	returned = true
	if over {
		t.finish(r)
	}
}

// callReceiver calls r once, and reports whether that was the last time.
func (t *Conn) callReceiver(r transport.Receiver) (over bool) {
	if err := t.whyOver(); err != nil {
		r.End(err)
		return true
	}
	return r.Readable() != nil
}

// whyOver returns why the Receiver is to be told the end, or nil.
func (t *Conn) whyOver() error {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.in.whyOver()
}

func (i *input) whyOver() error {
	switch {
	case i.closed:
		return net.ErrClosed
	case passed(i.deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// mayView reports whether Receive can have what has come. It gets one view, and is called again
// for the next: what it sends and counts is held back until it returns, which else it never
// would while the peer keeps sending. The lock is held.
func (p *push) mayView() bool {
	switch {
	case p.receiver == nil:
		return true
	case p.viewed:
		p.again = true
		return false
	}
	p.viewed = true
	return true
}

// receiveMore reports whether there is more, or else ends the turn of who calls the Receiver.
func (t *Conn) receiveMore() bool {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	p := &i.push
	p.receiving = p.again && i.mayCall()
	p.again, p.viewed = false, false
	return p.receiving
}

// finish makes sure that Receive isn't called again, and lets the Receiver end the
// connection, which may take its time.
func (t *Conn) finish(r transport.Receiver) {
	i := &t.in
	i.mu.Lock()
	i.push.finished, i.push.receiving = true, false
	i.dropNext()
	i.mu.Unlock()
	r.Finish()
}

// Yield has the Receiver called again when other goroutines have had their turn.
func (t *Conn) Yield() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.push.again, t.in.push.yielded = true, true
	return true
}

// Pause makes the Receive under way the last one until Resume. What comes is left
// with the system; the poller finds out when it does.
func (t *Conn) Pause() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if !t.in.over {
		t.in.push.paused = true
	}
}

// Resume ends that.
func (t *Conn) Resume() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.push.paused = false
	t.want()
	t.call()
}

// A crew is goroutines that call Receivers. A Handler may take its time, so one that goes to
// call a Receiver sees to it that another looks after the connections that still wait; but as
// long as it finds some waiting it takes them, for its stack has grown and that of a new one
// hasn't. There it ends. So there are as many as Receivers are being called, and one more.
type crew struct {
	mu          sync.Mutex
	first, last *Conn // the connections that wait
	starting    bool  // a goroutine was started and has not looked yet
}

// callers call the Receivers of all connections.
var callers crew

// call has the Receiver of t called soon.
func (c *crew) call(t *Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.first == nil {
		c.first = t
	} else {
		c.last.behind = t
	}
	c.last = t
	c.start()
}

// start starts a goroutine for the connections that wait. The lock is held.
func (c *crew) start() {
	if c.first != nil && !c.starting {
		c.starting = true
		go callWaiting()
	}
}

func callWaiting() {
	for t := callers.take(true); t != nil; t = callers.take(false) {
		t.receive()
	}
}

// take returns a connection that waits, or nil. A goroutine says when it takes its first.
func (c *crew) take(first bool) *Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first {
		c.starting = false
	}
	t := c.first
	if t != nil {
		c.first, t.behind = t.behind, nil
		c.start()
	}
	return t
}
