package fuzz

import (
	"errors"
	"io"
	"time"

	"github.com/seed004e8d11/websock"
)

// A way is one in which a peer receives.
type way struct {
	pushed bool
	sleepy bool // the Handler rests after every call
	echoes bool // the Handler answers
	whole  bool // the Handler gets whole messages
	pull   func(p *peer)
}

// peerWays are all of them; every other one is pushed.
var peerWays = [8]way{
	{pull: (*peer).pullParts}, {pushed: true},
	{pull: (*peer).pullMessages}, {pushed: true, whole: true},
	{pull: (*peer).pullReaders}, {pushed: true, sleepy: true},
	{pull: (*peer).pullStream}, {pushed: true, echoes: true},
}

func (w way) start(p *peer) {
	switch {
	case !w.pushed:
		p.meanwhile.Go(func() { w.pull(p) })
	case w.whole:
		p.conn.SetHandler(websock.Messages(p.OnMessage, p.OnClose))
	default:
		p.got.sleepy = w.sleepy
		p.conn.SetHandler(p)
		if w.sleepy {
			p.meanwhile.Go(p.wake)
		}
	}
}

// OnMessage notes a whole message.
func (p *peer) OnMessage(c *websock.Conn, op websock.Opcode, msg []byte) {
	p.OnData(c, websock.Header{Fin: true, Opcode: op, Length: int64(len(msg))}, msg)
}

// wake ends every rest of the Handler.
func (p *peer) wake() {
	for {
		select {
		case <-p.ended:
			return
		case <-time.After(3 * time.Millisecond):
			p.conn.Resume()
		}
	}
}

// pullParts receives with timeouts of all lengths.
func (p *peer) pullParts() {
	buf := make([]byte, 6000)
	for i := 1; ; i++ {
		h, n, err := p.conn.RecvTimeout(buf[:1+i*997%len(buf)], time.Duration(1+i%7)*time.Millisecond)
		switch {
		case p.mayGoOn(err):
			if n > 0 {
				p.t.Errorf("%d bytes with ErrTimeout", n)
			}
		case err != nil:
			p.endPull(err)
			return
		case h.Opcode != websock.OpNone:
			p.OnData(p.conn, h, buf[:n])
		}
	}
}

func (p *peer) pullMessages() {
	var msg []byte
	for {
		op, part, err := p.conn.RecvMessage(msg)
		switch {
		case p.mayGoOn(err):
			msg = part
		case err != nil:
			p.endPull(err)
			return
		default:
			p.OnMessage(p.conn, op, part)
			msg = nil
		}
	}
}

func (p *peer) pullReaders() {
	for {
		op, r, err := p.conn.NextReader()
		if p.mayGoOn(err) {
			continue
		}
		var msg []byte
		if err == nil {
			msg, err = p.readAll(r)
		}
		if err != nil {
			p.endPull(err)
			return
		}
		p.OnMessage(p.conn, op, msg)
	}
}

// readAll is io.ReadAll that goes on after ErrTimeout.
func (p *peer) readAll(r io.Reader) (all []byte, err error) {
	for {
		part, err := io.ReadAll(r)
		all = append(all, part...)
		if !p.mayGoOn(err) {
			return all, err
		}
	}
}

// pullStream receives as from a net.Conn, with Recv, where a deadline can pass at any byte.
func (p *peer) pullStream() {
	buf := make([]byte, 5000)
	for {
		h, n, err := p.conn.Recv(buf)
		switch {
		case p.mayGoOn(err):
		case err != nil:
			p.endPull(err)
			return
		case h.Opcode != websock.OpNone:
			p.OnData(p.conn, h, buf[:n])
		}
	}
}

// mayGoOn reports whether receiving can go on after a mere timeout, and sees to it that it
// waits again.
func (p *peer) mayGoOn(err error) bool {
	if !errors.Is(err, websock.ErrTimeout) || errors.As(err, new(*websock.CloseError)) {
		return false
	}
	p.conn.SetRecvDeadline(time.Time{})
	return true
}

func (p *peer) endPull(err error) {
	p.OnClose(p.conn, err)
	p.closeOnce()
}
