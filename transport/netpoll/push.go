//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"os"

	"github.com/seed004e8d11/websock/engine"
)

// push is what a Conn remembers of its Receiver.
type push struct {
	receiver  engine.Receiver
	receiving bool // Receive is being called
	again     bool // and must be called again, for what came meanwhile
	finished  bool // Receive returned an error, or End was called
	paused    bool
}

// Push calls r from now on: first from a goroutine that it starts, then from
// wherever netpoll calls (netpoll.Config.Runner).
func (t *Conn) Push(r engine.Receiver) error {
	t.in.mu.Lock()
	t.in.push.receiver = r
	t.in.mu.Unlock()
	go t.receive()
	return nil
}

// receive calls the Receiver until it has seen all that can be seen. If it is being
// called already, that is left to whoever does.
func (t *Conn) receive() {
	for r := t.beginReceive(); r != nil; r = t.receiveMore() {
		err := t.whyOver()
		if err != nil {
			r.End(err)
		} else {
			err = r.Receive()
		}
		if err != nil {
			t.finish()
			return
		}
	}
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

func (t *Conn) beginReceive() engine.Receiver {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	p := &i.push
	switch {
	case p.receiving:
		p.again = true
		return nil
	case p.finished || p.paused && i.whyOver() == nil:
		return nil
	}
	p.receiving = true
	return p.receiver
}

// receiveMore ends the turn of who calls the Receiver unless there is more.
func (t *Conn) receiveMore() engine.Receiver {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	p := &i.push
	if p.again && (!p.paused || i.whyOver() != nil) {
		p.again = false
		return p.receiver
	}
	p.receiving, p.again = false, false
	return nil
}

// finish makes sure that Receive isn't called again, and lets the Receiver end the
// connection from a goroutine that may block, which netpoll's may not.
func (t *Conn) finish() {
	i := &t.in
	i.mu.Lock()
	i.push.finished, i.push.receiving = true, false
	i.dropNext()
	t.release()
	r := i.push.receiver
	i.mu.Unlock()
	go r.Finish()
}

// Pause makes the Receive under way the last one until Resume. What comes is left
// with the system.
func (t *Conn) Pause() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.in.over || t.in.push.finished {
		return
	}
	t.in.push.paused = true
	t.hold()
}

// Resume ends that.
func (t *Conn) Resume() {
	t.in.mu.Lock()
	t.in.push.paused = false
	t.release()
	pushed := t.in.push.receiver != nil
	t.in.mu.Unlock()
	if pushed {
		go t.receive()
	}
}
