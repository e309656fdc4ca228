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
	// lastMessage is the last message that each peer sends.
	lastMessage = "that is all"

	// echoed begins the messages that a Handler sends.
	echoed = "echo of message "

	// maxFaults bounds the faults of an end, and enough is a time within which everything can be
	// done, however long the link delays it: half a minute, for a machine that is busy.
	maxFaults = 200
	enough    = 5 * maxFaults * faultSize * time.Millisecond
)

// A peer is one side of a connection over a link. Its script says what it sends, and what else it
// does at the same time.
type peer struct {
	t         *testing.T
	conn      *websock.Conn
	script    program
	receiver  receiver
	closeCode websock.CloseCode

	sent     []message // accepted
	failed   *message  // not accepted
	got      collector
	finished chan struct{} // closed when everything was sent, or sending failed
	heard    chan struct{} // closed when the other side's last message arrived, or receiving ended
	ended    chan struct{} // closed when receiving ended

	background sync.WaitGroup // goroutines beside the one that sends
	mu         sync.Mutex     // guards the fields below
	echoes     []message      // sent by the Handler and accepted
	closing    int            // calls of CloseWith
	closeErr   error          // the errors of those calls
	cut        bool           // the peer may have ended the connection other than by closing it
}

func newPeer(t *testing.T, conn *websock.Conn, script program, r receiver, closeCode websock.CloseCode) *peer {
	return &peer{
		t: t, conn: conn, script: script, receiver: r, closeCode: closeCode,
		finished: make(chan struct{}), heard: make(chan struct{}), ended: make(chan struct{}),
	}
}

// start begins to receive and to send.
func (p *peer) start() {
	p.receiver.start(p)
	go p.send()
}

func (p *peer) send() {
	defer close(p.finished)
	for steps := 0; steps < 20 && !p.script.ended(); steps++ {
		if err := p.step(); err != nil {
			p.stopSending(err)
			return
		}
	}
	if err := p.message(websock.OpText, lastMessage); err != nil {
		p.stopSending(err)
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
	case 2: // more than the link holds
		return p.message(websock.OpBinary, fmt.Sprintf("%s%0*d", payload, 200*int(kind), 0))
	}
	switch kind / 8 {
	case 6, 7:
		return p.messageWith(sendFragments, websock.OpBinary, payload)
	case 8, 9:
		return p.messageWith(sendWritten, websock.OpBinary, strings.Repeat(payload, 1200))
	case 10, 11:
		return p.messageWith(sendReserved, websock.OpBinary, payload)
	case 12, 13:
		return p.corked(payload)
	case 14:
		return p.message(websock.OpText, fmt.Sprintf("%q", payload))
	case 15:
		return p.conn.SendPong([]byte(payload))
	case 16, 17, 18:
		p.later(p.pause)
	case 19, 20:
		p.later(p.setRecvDeadline)
	case 21:
		p.later(p.setSendDeadline)
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
	case 28: // more than the queue holds, so that a part may be sent when the time is over
		p.noteCut()
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

// messageWith sends a message with send and records whether it was accepted.
func (p *peer) messageWith(send func(c *websock.Conn, op websock.Opcode, payload []byte) error, op websock.Opcode, payload string) error {
	if err := send(p.conn, op, []byte(payload)); err != nil {
		p.failed = &message{op, payload}
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

func sendReserved(c *websock.Conn, op websock.Opcode, payload []byte) error {
	buffer, err := c.Reserve(len(payload) + 5)
	if err != nil {
		return err
	}
	return buffer.SendFrame(op, true, copy(buffer.Bytes(), payload))
}

func sendPrepared(c *websock.Conn, op websock.Opcode, payload []byte) error {
	prepared, err := websock.NewPreparedMessage(op, payload)
	if err != nil {
		return err
	}
	return c.SendPrepared(prepared)
}

// sendUnlessFull blocks only if the queue is full.
func sendUnlessFull(c *websock.Conn, op websock.Opcode, payload []byte) error {
	err := c.TrySend(op, payload)
	if errors.Is(err, websock.ErrSendQueueFull) {
		return c.SendContext(context.Background(), op, payload)
	}
	return err
}

// withinTime sends a message, or nothing if that takes too long.
func (p *peer) withinTime(payload string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := p.messageWith(func(c *websock.Conn, op websock.Opcode, payload []byte) error {
		return c.SendContext(ctx, op, payload)
	}, websock.OpBinary, payload)
	if err == ctx.Err() {
		p.failed = nil
		return nil
	}
	return err
}

// corked sends several messages in one batch.
func (p *peer) corked(payload string) error {
	p.conn.Cork()
	defer p.conn.Flush() // returns the same error again
	for i := range len(payload) % 5 {
		if err := p.message(websock.OpBinary, payload[i:]); err != nil {
			return err
		}
	}
	return p.conn.Flush()
}

// later calls do in the background, after a delay from the script.
func (p *peer) later(do func()) {
	delay := time.Duration(p.script.next()) * time.Millisecond
	p.background.Go(func() {
		time.Sleep(delay)
		do()
	})
}

// pause pauses the Handler for a while.
func (p *peer) pause() {
	p.conn.Pause()
	time.Sleep(50 * time.Millisecond)
	p.conn.Resume()
}

// setRecvDeadline sets a receive deadline. With a Handler it ends the connection.
func (p *peer) setRecvDeadline() {
	if p.receiver.pushed {
		p.noteCut()
	}
	p.conn.SetRecvDeadline(time.Now().Add(20 * time.Millisecond))
}

// setSendDeadline sets a send deadline, which may end the connection.
func (p *peer) setSendDeadline() {
	p.noteCut()
	p.conn.SetSendDeadline(time.Now().Add(20 * time.Millisecond))
}

func (p *peer) abort() {
	p.noteCut()
	p.conn.Abort(nil)
}

// noteCut records that the peer may end the connection other than by closing it.
func (p *peer) noteCut() {
	p.mu.Lock()
	p.cut = true
	p.mu.Unlock()
}

// close closes the connection.
func (p *peer) close() {
	p.mu.Lock()
	p.closing++
	p.mu.Unlock()
	err := p.conn.CloseWith(p.closeCode, "")
	p.mu.Lock()
	p.closeErr = errors.Join(p.closeErr, err)
	p.mu.Unlock()
}

// closeOnce is close unless that was called before.
func (p *peer) closeOnce() {
	p.mu.Lock()
	closing := p.closing > 0
	p.mu.Unlock()
	if !closing {
		p.close()
	}
}

// stopSending closes a connection on which a send failed.
func (p *peer) stopSending(err error) {
	p.checkEnd(err)
	p.closeOnce()
}

// checkEnd fails unless err is a documented error for a valid peer.
func (p *peer) checkEnd(err error) {
	if !errors.As(err, new(*websock.CloseError)) && !(p.receiver.pushed && err == websock.ErrTimeout) {
		p.t.Errorf("ended with %v", err)
	}
}

// OnData records what was received, pushed or pulled.
func (p *peer) OnData(c *websock.Conn, h websock.Header, payload []byte) {
	p.got.OnData(c, h, payload)
	if p.got.open {
		return
	}
	last := p.got.messages[len(p.got.messages)-1]
	switch {
	case last.opcode == websock.OpText && last.payload == lastMessage:
		close(p.heard)
	case p.receiver.echoes && last.opcode == websock.OpBinary:
		p.echo(len(p.got.messages))
	}
}

// echo sends a message from within the Handler.
func (p *peer) echo(n int) {
	reply := message{websock.OpText, fmt.Sprint(echoed, n)}
	if p.conn.SendText([]byte(reply.payload)) == nil { // else a fragmented message is under way, or sending ended
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
