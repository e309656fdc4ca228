package std

import (
	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// Push starts a goroutine that waits for bytes and calls r with them, until
// r.Receive returns an error.
func (t *Conn) Push(r engine.Receiver) error {
	t.pushed = true
	go t.push(r)
	return nil
}

func (t *Conn) push(r engine.Receiver) {
	defer r.Finish()
	if r.Receive() != nil {
		return
	}
	p := pump{t: t, r: r}
	if t.raw != nil {
		p.runRaw()
	} else {
		p.run()
	}
}

// pushError is what View answers while it is pushed and empty.
func (t *Conn) pushError() error {
	if t.err != nil {
		return t.err
	}
	return engine.ErrWouldBlock
}

// A pump moves what comes from a transport to its receiver.
type pump struct {
	t    *Conn
	r    engine.Receiver
	done bool // the receiver wants no more
}

// run pumps a net.Conn that can only be asked to read.
func (p *pump) run() {
	for !p.done {
		b := buffer.Get(waitSize)
		n, err := p.t.conn.Read(b.B[:waitSize])
		p.pass(b, n, err)
	}
}

// runRaw pumps a descriptor, all inside one Read of the syscall.RawConn, so that
// what it remembers of the descriptor's readiness is never thrown away.
func (p *pump) runRaw() {
	err := p.t.raw.Read(p.drain)
	if !p.done {
		p.pass(buffer.Get(0), 0, err)
	}
}

// pass gives the receiver n bytes in b, or the error that came instead.
func (p *pump) pass(b *buffer.Buffer, n int, err error) {
	p.t.stage(b, n, err)
	p.done = p.r.Receive() != nil
}
