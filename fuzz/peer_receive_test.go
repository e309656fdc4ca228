package fuzz

import (
	"errors"
	"io"
	"time"

	"github.com/seed004e8d11/websock"
)

// A receiver is a way for a peer to receive.
type receiver struct {
	pushed bool
	pauses bool // the Handler pauses after every call
	echoes bool // the Handler answers
	whole  bool // the Handler gets whole messages
	pull   func(p *peer)
}

// receivers are all ways to receive. Every other one is pushed.
var receivers = [8]receiver{
	{pull: (*peer).pullParts}, {pushed: true},
	{pull: (*peer).pullMessages}, {pushed: true, whole: true},
	{pull: (*peer).pullReaders}, {pushed: true, pauses: true},
	{pull: (*peer).pullStream}, {pushed: true, echoes: true},
}

func (r receiver) start(p *peer) {
	switch {
	case !r.pushed:
		p.background.Go(func() { r.pull(p) })
	case r.whole:
		p.conn.SetHandler(websock.Messages(p.OnMessage, p.OnClose))
	default:
		p.got.pauses = r.pauses
		p.conn.SetHandler(p)
		if r.pauses {
			p.background.Go(p.resume)
		}
	}
}

// OnMessage records a whole message.
func (p *peer) OnMessage(c *websock.Conn, op websock.Opcode, msg []byte) {
	p.OnData(c, websock.Header{Fin: true, Opcode: op, Length: int64(len(msg))}, msg)
}

// resume resumes the Handler whenever it has paused.
func (p *peer) resume() {
	for {
		select {
		case <-p.ended:
			return
		case <-time.After(3 * time.Millisecond):
			p.conn.Resume()
		}
	}
}

// pullParts receives with timeouts and buffers of many sizes.
func (p *peer) pullParts() {
	buf := make([]byte, 6000)
	for i := 1; ; i++ {
		h, n, err := p.conn.RecvTimeout(buf[:1+i*997%len(buf)], time.Duration(1+i%7)*time.Millisecond)
		switch {
		case p.retry(err):
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
		case p.retry(err):
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
		if p.retry(err) {
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

// readAll is io.ReadAll that continues after ErrTimeout.
func (p *peer) readAll(r io.Reader) (all []byte, err error) {
	for {
		part, err := io.ReadAll(r)
		all = append(all, part...)
		if !p.retry(err) {
			return all, err
		}
	}
}

// pullStream receives with Recv, where a deadline can pass at any byte.
func (p *peer) pullStream() {
	buf := make([]byte, 5000)
	for {
		h, n, err := p.conn.Recv(buf)
		switch {
		case p.retry(err):
		case err != nil:
			p.endPull(err)
			return
		case h.Opcode != websock.OpNone:
			p.OnData(p.conn, h, buf[:n])
		}
	}
}

// retry reports whether err is a timeout after which receiving can continue, and clears the deadline.
func (p *peer) retry(err error) bool {
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
