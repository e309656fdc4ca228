//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"net"
	"os"
	"runtime"
	"sync"

	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/transport"
)

// A push is the state of a Conn's Receiver.
type push struct {
	receiver transport.Receiver // nil: there is none
	phase    pushPhase
	again    bool // Readable is to be called again, for what happened while it was called
	viewed   bool // the call of Readable under way has had its view
	paused   bool
	yielded  bool // before Readable is called again, other goroutines are to run
}

// A pushPhase says what happens with a Receiver.
type pushPhase uint8

const (
	pushIdle     pushPhase = iota // it waits for something to handle
	pushRunning                   // it is called, or about to be
	pushFinished                  // it isn't called any more: Readable has returned an error, or End was called
)

// Push has r called by a workerPool from now on.
func (t *Conn) Push(r transport.Receiver) error {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.push.receiver, t.in.push.phase = r, pushIdle
	t.watchLocked()
	t.scheduleLocked()
	return nil
}

// scheduleLocked has the Receiver called, if there is one, by a worker: a poller must not wait,
// and a Handler may. While the Receiver is being called, it has it called again.
func (t *Conn) scheduleLocked() {
	p := &t.in.push
	switch {
	case p.phase == pushRunning:
		p.again = true
	case p.receiver != nil && p.phase == pushIdle && t.in.mayCallLocked():
		p.phase, p.viewed = pushRunning, false
		workers.submit(t)
	}
}

// mayCallLocked reports whether the Receiver may be called. During a pause only the end of the
// connection is a reason for that.
func (i *input) mayCallLocked() bool { return !i.push.paused || i.endReasonLocked() != nil }

// runReceiver calls the Receiver until there is nothing more to handle. If a Handler ends the
// goroutine, the connection is finished by another one.
func (t *Conn) runReceiver() {
	r := t.in.push.receiver
	returned := false
	defer func() {
		if !returned {
			go t.finish(r)
		}
	}()
	finished := t.callReceiver(r)
	for !finished && t.runsAgain() {
		if t.in.push.yielded {
			t.in.push.yielded = false
			runtime.Gosched()
		}
		finished = t.callReceiver(r)
	}
	returned = true
	if finished {
		t.finish(r)
	}
}

// callReceiver calls r once, and reports whether that was the last time.
func (t *Conn) callReceiver(r transport.Receiver) (finished bool) {
	if err := t.endReason(); err != nil {
		r.End(err)
		return true
	}
	return r.Readable() != nil
}

// endReason returns the error with which the Receiver's End is to be called, or nil.
func (t *Conn) endReason() error {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	return t.in.endReasonLocked()
}

func (i *input) endReasonLocked() error {
	switch {
	case i.state == stateClosed:
		return net.ErrClosed
	case passed(i.deadline):
		return os.ErrDeadlineExceeded
	}
	return nil
}

// mayViewLocked reports whether View may return what was received. Readable gets one view, and is
// called again for the next: what it sends is held back until it returns, which it would never do
// while the peer keeps sending.
func (p *push) mayViewLocked() bool {
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

// runsAgain reports whether the Receiver is to be called again. If not, the worker is done with
// it.
func (t *Conn) runsAgain() bool {
	i := &t.in
	i.mu.Lock()
	defer i.mu.Unlock()
	p := &i.push
	again := p.again && i.mayCallLocked()
	if !again {
		p.phase = pushIdle
	}
	p.again, p.viewed = false, false
	return again
}

// finish ends the calls of Readable and calls Finish, which may block, or call Push. Unless it does,
// nothing uses the view any more.
func (t *Conn) finish(r transport.Receiver) {
	i := &t.in
	i.mu.Lock()
	i.push.phase = pushFinished
	i.mu.Unlock()
	r.Finish()
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.push.phase == pushFinished {
		t.Consume(len(i.view))
		i.dropReceivedLocked()
	}
}

// Yield has Readable called again when other goroutines have run.
func (t *Conn) Yield() bool {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.push.again, t.in.push.yielded = true, true
	return true
}

// Pause makes the call of Readable under way the last one until Resume. What arrives is left with
// the system; the poller notices that when something does.
func (t *Conn) Pause() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	if t.in.state == stateOpen {
		t.in.push.paused = true
	}
}

// Resume ends a pause.
func (t *Conn) Resume() {
	t.in.mu.Lock()
	defer t.in.mu.Unlock()
	t.in.push.paused = false
	t.watchLocked()
	t.scheduleLocked()
}

// A workerPool is goroutines that call Receivers. Since a Handler may block, a worker that takes a
// connection starts another worker if more connections wait. It goes on as long as it finds some:
// its stack has grown already, and that of a new goroutine has not. Then it ends. So there are as
// many workers as Receivers being called, and one more.
type workerPool struct {
	mu         sync.Mutex
	head, tail *Conn  // the connections whose Receivers are to be called
	starting   bool   // a worker was started and has not taken a connection yet
	run        func() // work, made once: starting a goroutine then allocates nothing
}

// workers call the Receivers of all connections.
var workers = newWorkerPool()

func newWorkerPool() *workerPool {
	p := &workerPool{}
	p.run = p.work
	return p
}

// submit has the Receiver of t called.
func (p *workerPool) submit(t *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.head == nil {
		p.head = t
	} else {
		p.tail.next = t
	}
	p.tail = t
	p.startLocked()
}

// startLocked starts a worker if connections wait for one.
func (p *workerPool) startLocked() {
	if p.head != nil && !p.starting {
		p.starting = true
		go p.run()
	}
}

func (p *workerPool) work() {
	goroutine.GrowStack()
	for t := p.take(true); t != nil; t = p.take(false) {
		t.runReceiver()
	}
}

// take returns the next connection, or nil. first says that it is the worker's first.
func (p *workerPool) take(first bool) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first {
		p.starting = false
	}
	t := p.head
	if t != nil {
		p.head, t.next = t.next, nil
		p.startLocked()
	}
	return t
}
