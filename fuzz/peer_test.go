package fuzz

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

const (
	// lastWord is the message that each peer sends last.
	lastWord = "that is all"

	// echoed begins the messages that a Handler sends.
	echoed = "echo of message "

	// most is how many faults an end may have, so that enough is a time within which
	// everything can be done, however the link delays it.
	most   = 200
	enough = 2 * most * faultSize * time.Millisecond
)

// A peer is one side of a connection over a link. Its script says what it sends, and what
// else it does meanwhile.
type peer struct {
	t        *testing.T
	conn     *websock.Conn
	script   program
	way      way
	farewell websock.CloseCode

	sent     []message // accepted
	tried    *message  // the one that was not
	got      gatherer
	finished chan struct{} // all was sent, or nothing more can be
	heard    chan struct{} // the last word came, or the end
	ended    chan struct{} // receiving is over

	meanwhile sync.WaitGroup // what goes on beside sending and receiving
	mu        sync.Mutex     // of what follows
	echoes    []message      // sent by the Handler and accepted
	closing   int            // how often CloseWith was called
	closeErr  error          // what it has returned; only the first call does anything
	cut       bool           // the peer has ended the connection by force
}

func newPeer(t *testing.T, conn *websock.Conn, script program, w way, farewell websock.CloseCode) *peer {
	return &peer{
		t: t, conn: conn, script: script, way: w, farewell: farewell,
		finished: make(chan struct{}), heard: make(chan struct{}), ended: make(chan struct{}),
	}
}

// start begins to receive and to send.
func (p *peer) start() {
	p.way.start(p)
	go p.send()
}

func (p *peer) send() {
	defer close(p.finished)
	for steps := 0; steps < 20 && !p.script.ended(); steps++ {
		if err := p.step(); err != nil {
			p.giveUp(err)
			return
		}
	}
	if err := p.message(websock.OpText, lastWord); err != nil {
		p.giveUp(err)
	}
}

// step does what the script says next. The error is that of a message that could not be sent.
func (p *peer) step() error {
	kind := p.script.next()
	payload := string(p.script.take(int(p.script.next() % 32)))
	switch kind % 8 {
	case 0:
		return p.conn.SendPing([]byte(payload))
	case 1:
		time.Sleep(time.Duration(kind) * time.Millisecond)
		return nil
	case 2: // more than is under way at a time
		return p.message(websock.OpBinary, fmt.Sprintf("%s%0*d", payload, 200*int(kind), 0))
	}
	switch kind / 8 {
	case 6, 7:
		return p.messageWith(sendFragments, websock.OpBinary, payload)
	case 8, 9:
		return p.messageWith(sendWritten, websock.OpBinary, strings.Repeat(payload, 1200))
	case 10, 11:
		return p.messageWith(sendLent, websock.OpBinary, payload)
	case 12, 13:
		return p.corked(payload)
	case 14:
		return p.message(websock.OpText, fmt.Sprintf("%q", payload))
	case 15:
		return p.conn.SendPong([]byte(payload))
	case 16, 17, 18:
		p.later(p.rest)
	case 19, 20:
		p.later(p.hurryReceiving)
	case 21:
		p.later(p.hurrySending)
	case 22, 23:
		p.later(p.close)
	case 24:
		p.later(p.abort)
	case 25:
		return p.messageWith(sendPrepared, websock.OpBinary, payload)
	case 26:
		return p.messageWith(sendUnlessFull, websock.OpBinary, strings.Repeat(payload, 200))
	case 27:
		return p.withinTime(payload)
	case 28: // more than may be queued, of which a part may be out when the time is over
		p.byForce()
		return p.withinTime(strings.Repeat(payload, 400))
	default:
		return p.message(websock.OpBinary, payload)
	}
	return nil
}

// message sends a message in one frame or two.
func (p *peer) message(op websock.Opcode, payload string) error {
	return p.messageWith(sendHalves, op, payload)
}

// messageWith sends a message in some way and notes whether it was accepted.
func (p *peer) messageWith(send func(c *websock.Conn, op websock.Opcode, payload []byte) error, op websock.Opcode, payload string) error {
	if err := send(p.conn, op, []byte(payload)); err != nil {
		p.tried = &message{op, payload}
		return err
	}
	p.sent = append(p.sent, message{op, payload})
	return nil
}

func sendHalves(c *websock.Conn, op websock.Opcode, payload []byte) error {
	half := len(payload) / 2
	if half%2 == 0 {
		return c.SendFrame(op, true, payload)
	}
	if err := c.SendFrame(op, false, payload[:half]); err != nil {
		return err
	}
	return c.SendFrame(websock.OpContinuation, true, payload[half:])
}

// sendFragments sends a frame for every byte, with pings between, and an empty last one.
func sendFragments(c *websock.Conn, op websock.Opcode, payload []byte) error {
	for i := range payload {
		if err := c.SendFrame(op, false, payload[i:i+1]); err != nil {
			return err
		}
		op = websock.OpContinuation
		if i%4 == 0 {
			if err := c.SendPing(payload[:i]); err != nil {
				return err
			}
		}
	}
	return c.SendFrame(op, true, nil)
}

// sendWritten sends through a writer, in pieces of many sizes.
func sendWritten(c *websock.Conn, op websock.Opcode, payload []byte) error {
	w, err := c.NextWriter(op)
	if err != nil {
		return err
	}
	for n := 1; len(payload) > 0; n *= 3 {
		n = min(n, len(payload))
		if _, err := w.Write(payload[:n]); err != nil {
			w.Close()
			return err
		}
		payload = payload[n:]
	}
	return w.Close()
}

func sendLent(c *websock.Conn, op websock.Opcode, payload []byte) error {
	lent, err := c.Reserve(len(payload) + 5)
	if err != nil {
		return err
	}
	return lent.SendFrame(op, true, copy(lent.Bytes(), payload))
}

func sendPrepared(c *websock.Conn, op websock.Opcode, payload []byte) error {
	prepared, err := websock.NewPreparedMessage(op, payload)
	if err != nil {
		return err
	}
	return c.SendPrepared(prepared)
}

// sendUnlessFull waits only after a send that doesn't wait has sent nothing.
func sendUnlessFull(c *websock.Conn, op websock.Opcode, payload []byte) error {
	err := c.TrySend(op, payload)
	if errors.Is(err, websock.ErrSendQueueFull) {
		return c.SendContext(context.Background(), op, payload)
	}
	return err
}

// withinTime sends a message unless that takes too long, and then nothing.
func (p *peer) withinTime(payload string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := p.messageWith(func(c *websock.Conn, op websock.Opcode, payload []byte) error {
		return c.SendContext(ctx, op, payload)
	}, websock.OpBinary, payload)
	if err == ctx.Err() {
		p.tried = nil
		return nil
	}
	return err
}

// corked sends several messages that leave together.
func (p *peer) corked(payload string) error {
	p.conn.Cork()
	defer p.conn.Flush() // an error comes again
	for i := range len(payload) % 5 {
		if err := p.message(websock.OpBinary, payload[i:]); err != nil {
			return err
		}
	}
	return p.conn.Flush()
}

// later does something beside all that, after a time that the script says.
func (p *peer) later(do func()) {
	delay := time.Duration(p.script.next()) * time.Millisecond
	p.meanwhile.Go(func() {
		time.Sleep(delay)
		do()
	})
}

// rest leaves the Handler alone for a while.
func (p *peer) rest() {
	p.conn.Pause()
	time.Sleep(50 * time.Millisecond)
	p.conn.Resume()
}

// hurryReceiving sets a deadline for receiving. With a Handler it ends the connection.
func (p *peer) hurryReceiving() {
	if p.way.pushed {
		p.byForce()
	}
	p.conn.SetRecvDeadline(time.Now().Add(20 * time.Millisecond))
}

// hurrySending sets a deadline for sending, that may end the connection.
func (p *peer) hurrySending() {
	p.byForce()
	p.conn.SetSendDeadline(time.Now().Add(20 * time.Millisecond))
}

func (p *peer) abort() {
	p.byForce()
	p.conn.Abort(nil)
}

// byForce notes that the peer doesn't end the connection as it should.
func (p *peer) byForce() {
	p.mu.Lock()
	p.cut = true
	p.mu.Unlock()
}

// close ends the connection as it should be.
func (p *peer) close() {
	p.mu.Lock()
	p.closing++
	p.mu.Unlock()
	err := p.conn.CloseWith(p.farewell, "")
	p.mu.Lock()
	p.closeErr = errors.Join(p.closeErr, err)
	p.mu.Unlock()
}

// closeOnce is close unless somebody has closed.
func (p *peer) closeOnce() {
	p.mu.Lock()
	closing := p.closing > 0
	p.mu.Unlock()
	if !closing {
		p.close()
	}
}

// giveUp ends a connection on which nothing more can be sent.
func (p *peer) giveUp(err error) {
	p.checkEnd(err)
	p.closeOnce()
}

// checkEnd demands a documented error of a peer that does everything right.
func (p *peer) checkEnd(err error) {
	if !errors.As(err, new(*websock.CloseError)) && !(p.way.pushed && err == websock.ErrTimeout) {
		p.t.Errorf("the end is %v", err)
	}
}

// OnData notes what came, in whatever way it did.
func (p *peer) OnData(c *websock.Conn, h websock.Header, payload []byte) {
	p.got.OnData(c, h, payload)
	if p.got.open {
		return
	}
	last := p.got.messages[len(p.got.messages)-1]
	switch {
	case last.opcode == websock.OpText && last.payload == lastWord:
		close(p.heard)
	case p.way.echoes && last.opcode == websock.OpBinary:
		p.echo(len(p.got.messages))
	}
}

// echo sends a message from within the Handler.
func (p *peer) echo(n int) {
	reply := message{websock.OpText, fmt.Sprint(echoed, n)}
	if p.conn.SendText([]byte(reply.payload)) == nil { // else a message is under way, or the connection over
		p.mu.Lock()
		p.echoes = append(p.echoes, reply)
		p.mu.Unlock()
	}
}

func (p *peer) OnClose(c *websock.Conn, err error) {
	p.got.OnClose(c, err)
	p.checkEnd(err)
	select {
	case <-p.heard:
	default:
		close(p.heard)
	}
	close(p.ended)
}
