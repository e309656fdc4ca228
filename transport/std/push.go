package std

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/internal/goroutine"
	"github.com/seed004e8d11/websock/transport"
)

// Push starts a goroutine that reads, and calls r as transport.Pusher says. The error is always nil.
func (c *Conn) Push(r transport.Receiver) error {
	p := &pump{c: c, r: r}
	p.run, p.read = p.runOnce, p.readUnlessClosed
	if c.pump != nil {
		c.pump.goroutine = replaced // inside its finishLost
	}
	c.turn.Store(pumpCallsAgain)
	c.pump = p
	go p.run()
	return nil
}

// Pause makes the goroutine of Push call no Readable, and read nothing, until Resume.
func (c *Conn) Pause() { c.paused.Store(true) }

// Resume ends a pause. Readable is called again even if nothing has arrived.
func (c *Conn) Resume() {
	waits := c.turn.Swap(pumpCallsAgain) == pumpWaits
	c.paused.Store(false) // after turn, so that the pump always sees one of them, and keeps the view
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	c.wakePumpLocked()
	if waits {
		c.endWaitLocked()
	}
}

// Yield makes Readable be called again before anything else is read. It returns true.
func (c *Conn) Yield() bool {
	c.turn.Store(pumpCallsAgain)
	return true
}

// A pumpTurn says what the pump does next, so that Resume need not end a read unless the pump waits
// in one.
type pumpTurn = uint32

const (
	pumpRuns       pumpTurn = iota // it calls the Receiver, or is about to look for something to do
	pumpCallsAgain                 // it calls the Receiver before it waits
	pumpWaits                      // it waits in a read, or is about to
)

// beginWait is called before the pump waits in a read. It returns false if the pump has to call the
// Receiver first.
func (c *Conn) beginWait() bool {
	return c.turn.CompareAndSwap(pumpRuns, pumpWaits) || !c.mustCallAgain()
}

func (c *Conn) mustCallAgain() bool { return c.turn.Load() == pumpCallsAgain }

// wakePumpLocked makes a paused pump check its state again.
func (c *Conn) wakePumpLocked() {
	select {
	case c.wake <- struct{}{}:
	default: // no pump is paused, or it is about to check anyway
	}
}

func (c *Conn) isPaused() bool { return c.paused.Load() && !c.isClosed() }

// recheckDelay is how long a connection is quiet before the end of its stream is looked for, if it was
// busy before.
const recheckDelay = 250 * time.Millisecond

// A pump reads from a Conn and calls its Receiver. All fields but the atomic ones are used only by its
// goroutine.
type pump struct {
	c         *Conn
	r         transport.Receiver
	run       func()                // runOnce, and
	read      func(fd uintptr) bool // readUnlessClosed, made once
	spare     buffer.Spare          // for reads from a net.Conn without a descriptor
	goroutine goroutineState
	fills     uint8 // successive reads that have filled their buffers while no other goroutine could run
	finished  bool  // the Receiver must not be called again, except Finish
	mustClose bool  // Close left the closing of conn to the pump

	rechecks atomic.Bool  // a recheck is scheduled
	lastRead atomic.Int64 // the timing.Instant when bytes were last read; 0: the connection is not busy
}

// A call of the Receiver with bytes needs more stack than waiting, and a stack that has grown stays large.
// Therefore a goroutine that has made one is replaced before it waits, by one with the smallest stack.
type goroutineState uint8

const (
	unused   goroutineState = iota // the goroutine has the smallest stack
	waits                          // likewise, and nothing has arrived yet
	woken                          // something has arrived: the stack has to grow before that is read
	used                           // it calls the Receiver with bytes, or has done so
	replaced                       // it ends, and another one goes on
)

// useGoroutine prepares the goroutine for calls of the Receiver.
func (p *pump) useGoroutine() {
	if p.goroutine != used {
		p.goroutine = used
		goroutine.GrowStack()
	}
}

// runOnce calls the Receiver until it is finished, or another goroutine goes on.
func (p *pump) runOnce() {
	returned := false
	p.c.pumpID.Store(goroutine.ID())
	defer func() {
		if !returned { // the Receiver has ended this goroutine
			p.c.pumpID.Store(0)
			go p.finishLost()
		}
	}()
	switch {
	case p.c.raw != nil:
		p.readDescriptor()
	case p.c.stream != nil:
		p.readStream()
	default:
		p.readNetConn()
	}
	returned = true
	p.c.pumpID.Store(0)
	switch {
	case p.finished:
		p.c.dropView()
		p.spare.Drop()
		p.r.Finish()
	case p.goroutine == replaced:
		p.goroutine = unused
		go p.run()
	}
}

// finishLost calls Finish after the Receiver has ended the pump's goroutine. Unless the Receiver is pushed
// again then, nothing uses the view any more.
func (p *pump) finishLost() {
	p.r.Finish()
	if p.goroutine != replaced {
		p.c.dropView()
	}
	p.spare.Drop()
}

// readNetConn reads from a net.Conn without a descriptor until the Receiver is finished.
func (p *pump) readNetConn() {
	for p.prepareRead() {
		p.yieldProcessor()
		b := p.spare.Get(p.c.nextSize(waitSize, fullWaitSize))
		n, err := p.c.readConn(b.B[:cap(b.B)])
		if n > 0 || !p.isWakeup(err) {
			p.deliver(b, n, err)
		} else {
			p.spare.Put(b)
		}
	}
}

// readDescriptor reads from the descriptor until the Receiver is finished or the goroutine is to be
// replaced. It reads several times within one call of the syscall.RawConn, since a new call would
// forget that the descriptor is not readable, and try to read first.
func (p *pump) readDescriptor() {
	for p.goroutine != replaced && p.prepareRead() {
		p.yieldProcessor()
		if p.goroutine == woken {
			p.useGoroutine()
		}
		err := p.waitReadable()
		if err != nil && !p.finished && !p.isWakeup(err) {
			p.deliver(buffer.Get(0), 0, err)
		}
	}
}

// waitReadable waits until the descriptor is readable and reads. If Close came meanwhile, it
// closes the descriptor afterwards, which is not possible during a call on it.
func (p *pump) waitReadable() error {
	defer func() {
		if p.mustClose {
			closeConn(p.c.conn)
			p.mustClose = false
		}
	}()
	return p.c.raw.Read(p.read)
}

// readUnlessClosed is readAvailable, unless the connection is closed. It makes Close leave the
// descriptor to the pump.
func (p *pump) readUnlessClosed(fd uintptr) (done bool) {
	if !p.c.beginReceiving() {
		return true
	}
	defer func() {
		p.mustClose = p.c.endReceiving()
		done = done || p.mustClose
	}()
	p.c.fd = int32(fd)
	return p.readAvailable(fd)
}

// isWakeup reports whether err only ends the wait, and is not for the Receiver: after Close, which
// prepareRead reports, or if it is a timeout for Resume or for a recheck, see busy. The next read then
// either finds something or waits for an event.
func (p *pump) isWakeup(err error) bool {
	c := p.c
	if c.isClosed() {
		return true
	}
	c.deadlineMu.Lock()
	defer c.deadlineMu.Unlock()
	if !c.waitEnded || !isTimeout(err) || !c.readDeadline.IsZero() && !time.Now().Before(c.readDeadline) {
		return false
	}
	c.waitEnded = false
	p.lastRead.Store(0) // the connection is not busy any more
	return c.applyReadDeadlineLocked() == nil
}

// deliver passes n bytes in b, or err if there are none, to the Receiver.
func (p *pump) deliver(b *buffer.Buffer, n int, err error) {
	p.c.setView(b, n, err)
	p.callReadable()
}

func (p *pump) callReadable() {
	p.c.turn.Store(pumpRuns)
	switch {
	case len(p.c.view) > 0:
		p.useGoroutine()
	case p.goroutine != used: // there is nothing to handle, for which the smallest stack is large enough
		p.goroutine = unused
	}
	p.finished = p.r.Readable() != nil
}

func (p *pump) callEnd(err error) {
	p.finished = true
	p.r.End(err)
}

// fillsPerYield is how many successive reads may fill their buffers before other goroutines run.
const fillsPerYield = 4

// yieldProcessor lets other goroutines run if there was more to read several times. A goroutine that
// never waits would otherwise run for 10 ms at a time.
func (p *pump) yieldProcessor() {
	p.fills++
	switch {
	case !p.c.filled:
		p.fills = 0
	case p.fills >= fillsPerYield:
		p.fills = 0
		runtime.Gosched()
	}
}

// prepareRead waits for the end of a pause, and calls the Receiver if that has to be called again. It
// returns false when the Receiver is finished.
func (p *pump) prepareRead() bool {
	for !p.finished {
		switch {
		case p.c.isClosed():
			p.callEnd(net.ErrClosed)
		case p.c.paused.Load():
			p.waitWhilePaused()
		case p.c.beginWait():
			return true
		case p.c.readDeadlinePassed():
			p.callEnd(os.ErrDeadlineExceeded)
		default:
			if isTimeout(p.c.readErr) { // the deadline was moved since
				p.c.readErr = nil
			}
			runtime.Gosched() // as yieldProcessor
			p.callReadable()
		}
	}
	return false
}

// waitWhilePaused waits until the pause or the connection ends, or the read deadline passes, which
// it reports to the Receiver.
func (p *pump) waitWhilePaused() {
	p.spare.Drop()
	for p.c.isPaused() {
		if !p.waitForWake() {
			p.callEnd(os.ErrDeadlineExceeded)
			return
		}
	}
}

// waitForWake waits for wakePumpLocked. It returns false if the read deadline passes during a pause.
func (p *pump) waitForWake() bool {
	c := p.c
	c.deadlineMu.Lock()
	if c.wake == nil {
		c.wake = make(chan struct{}, 1)
	}
	deadline, paused := c.readDeadline, c.isPaused()
	c.deadlineMu.Unlock()
	switch {
	case !paused: // it may have ended before wake was made
		return true
	case deadline.IsZero():
		<-c.wake
		return true
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c.wake:
		return true
	case <-timer.C:
		return !c.isPaused()
	}
}
