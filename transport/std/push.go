package std

import (
	"net"
	"os"
	"runtime"
	"time"

	"github.com/seed004e8d11/websock/internal/buffer"
	"github.com/seed004e8d11/websock/transport"
)

// Push starts a goroutine that waits for bytes and calls r with them, until
// r.Readable returns an error.
func (t *Conn) Push(r transport.Receiver) error {
	p := &pump{t: t, r: r}
	t.deadlines.Lock() // somebody may set one, to close
	t.pump = p
	t.deadlines.Unlock()
	go p.start()
	return nil
}

// pushError is what View answers while it is pushed and empty.
func (t *Conn) pushError() error {
	if t.err != nil {
		return t.err
	}
	return transport.ErrWouldBlock
}

// lookAgain is how long the end of the stream of a busy connection can go unseen, at
// most.
const lookAgain = 250 * time.Millisecond

// A pump moves what comes from a transport to its receiver.
type pump struct {
	t         *Conn
	r         transport.Receiver
	done      bool // the receiver wants no more
	worked    bool // the goroutine has called the receiver
	worn      bool // and is to be replaced
	calling   bool // the receiver is being called
	mustClose bool // Close has left closing the connection to us

	lastRead time.Time // when bytes came
	recheck  time.Time // when to look again; see busy. Under the transport's lock
}

func (p *pump) start() {
	p.receive()
	p.work()
}

func (p *pump) work() {
	if p.t.raw != nil {
		p.runRaw()
	} else {
		p.run()
	}
	switch {
	case p.done:
		p.t.dropView()
		p.r.Finish()
	case p.worn:
		// To call the receiver takes more stack than to wait, and a stack that has
		// grown stays so. A new goroutine waits with the smallest there is.
		p.worked, p.worn = false, false
		go p.work()
	}
}

// run pumps a net.Conn that can only be asked to read.
func (p *pump) run() {
	for p.mayRead() {
		p.letOthersRun()
		b := buffer.Get(p.t.nextSize(waitSize, fullWaitSize))
		n, err := p.t.conn.Read(b.B[:cap(b.B)])
		p.pass(b, n, err)
	}
}

// runRaw pumps a descriptor, all inside one Read of the syscall.RawConn, so that
// what it remembers of the descriptor's readiness is not thrown away.
func (p *pump) runRaw() {
	drain := p.drainUnlessClosed
	for !p.worn && p.mayRead() {
		p.letOthersRun()
		err := p.readRaw(drain)
		if err != nil && !p.done && !p.t.isClosed() && !p.looksAgain(err) {
			p.pass(buffer.Get(0), 0, err)
		}
	}
}

// readRaw waits for bytes and has drain pass them on. When Close comes while the receiver is
// being called, the descriptor is left to us: within a call on it, it can't be closed.
func (p *pump) readRaw(drain func(fd uintptr) bool) error {
	defer p.closeInPlace()
	return p.t.raw.Read(drain)
}

func (p *pump) closeInPlace() {
	if p.mustClose {
		closeNow(p.t.conn)
		p.mustClose = false
	}
}

// drainUnlessClosed is drain as long as the connection isn't closed.
func (p *pump) drainUnlessClosed(fd uintptr) (over bool) {
	if !p.t.beginHandling() {
		return true
	}
	defer func() {
		p.mustClose = p.t.endHandling()
		over = over || p.mustClose
	}()
	return p.drain(fd)
}

// looksAgain reports whether a wait has ended only to look again, which a read does
// that finds nothing.
func (p *pump) looksAgain(err error) bool {
	t := p.t
	t.deadlines.Lock()
	defer t.deadlines.Unlock()
	if p.recheck.IsZero() || !timedOut(err) || !t.deadline.IsZero() && !time.Now().Before(t.deadline) {
		return false
	}
	p.recheck = time.Time{}
	p.lastRead = time.Time{} // what comes now is read to its end
	return t.applyDeadline() == nil
}

// pass gives the receiver n bytes in b, or the error that came instead.
func (p *pump) pass(b *buffer.Buffer, n int, err error) {
	p.t.stage(b, n, err)
	p.receive()
}

func (p *pump) receive() {
	p.worked, p.calling = true, true
	defer p.called()
	p.done = p.r.Readable() != nil
	p.calling = false
}

// end tells the receiver that it is over.
func (p *pump) end(err error) {
	p.done, p.calling = true, true
	defer p.called()
	p.r.End(err)
	p.calling = false
}

// called ends a call of the receiver. If a Handler has ended the goroutine, another one
// finishes the connection.
func (p *pump) called() {
	if p.calling {
		go p.r.Finish()
	}
}

// letOthersRun lets other goroutines run if there is more to read for sure. A goroutine that
// never has to wait would else run for 10 ms at a time.
func (p *pump) letOthersRun() {
	if p.t.filled {
		runtime.Gosched()
	}
}

// late reports whether the read deadline has passed.
func (t *Conn) late() bool {
	t.deadlines.Lock()
	defer t.deadlines.Unlock()
	return !t.deadline.IsZero() && !time.Now().Before(t.deadline)
}

// mayRead waits for the end of a pause and gives the receiver what that has left. It returns
// false when the receiver wants no more.
func (p *pump) mayRead() bool {
	for !p.done {
		switch {
		case p.t.isClosed():
			p.end(net.ErrClosed)
		case p.t.paused.Load():
			p.pause()
		case p.t.again.Swap(false):
			if p.t.late() {
				p.end(os.ErrDeadlineExceeded)
				break
			}
			runtime.Gosched() // as letOthersRun
			p.receive()
		default:
			return true
		}
	}
	return false
}
