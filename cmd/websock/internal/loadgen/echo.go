package loadgen

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
	"github.com/seed004e8d11/websock/fanout"
)

// An echo is the conversation with an echo server in a closed loop: it sends a window of messages, and
// another one for each answer. Answers are the echoes, in order.
type echo struct {
	*connection
	sequence atomic.Int64 // number of messages sent or about to be sent
	echoed   atomic.Int64 // number of those that came back

	// sentAt has the time of sending of each message in flight, at its sequence number modulo
	// the window.
	sentAt []atomic.Int64

	// queue has the sequence numbers to send, if the connection has a goroutine that sends: see
	// sendQueued. Otherwise it is nil.
	queue   chan int64
	counted atomic.Int64 // messages that this goroutine has sent and counted
}

func newEcho(c *connection) *echo {
	e := &echo{connection: c, sentAt: make([]atomic.Int64, c.gen.Window)}
	if !c.gen.windowFitsQueue() {
		e.queue = make(chan int64, c.gen.Window)
	}
	return e
}

// start sends the first window.
func (e *echo) start() {
	window := int64(e.gen.Window)
	e.sequence.Add(window)
	if e.queue != nil {
		go e.sendQueued()
		return
	}
	// While the connection is corked nothing is written, so no echo can arrive before the whole
	// window has its sequence numbers.
	e.Cork()
	for sequence := range window {
		e.send(sequence)
	}
	e.Flush() // onClose follows an error
}

// sendQueued sends the first window and then one message for each echo. A window that is too
// large for the buffers between client and server needs this goroutine: if onMessage sent, both
// sides could wait for each other to read.
func (e *echo) sendQueued() {
	for sequence := range int64(e.gen.Window) {
		e.send(sequence)
		e.counted.Add(1)
	}
	for sequence := range e.queue {
		e.send(sequence)
		e.counted.Add(1)
	}
}

// send sends a message, and waits if the send queue is full.
func (e *echo) send(sequence int64) {
	err := e.trySend(sequence)
	for errors.Is(err, websock.ErrSendQueueFull) {
		e.Drain(0) // after an error, so does trySend fail
		err = e.trySend(sequence)
	}
	if err != nil {
		e.sequence.Add(-1)
	}
}

// trySend writes a message into a buffer of the connection and sends it.
func (e *echo) trySend(sequence int64) error {
	content := e.gen.Message.Content
	buffer, err := e.Reserve(len(content))
	if err != nil {
		return err
	}
	copy(buffer.Bytes(), content)
	payload.Stamp(buffer.Bytes(), e.id(sequence))
	e.timeOf(sequence).Store(e.gen.now())
	if err := buffer.SendFrame(e.gen.Message.Opcode, true, len(content)); err != nil {
		return err
	}
	e.countAwaited(len(content))
	return nil
}

// takeBack corrects the counters after the slot was removed before it had the connection, which was aborted
// then. The first window is lost with it, or about to fail in sendQueued, which does not count it.
func (e *echo) takeBack() {
	if lost := e.inFlight(); e.queue == nil {
		e.sequence.Add(-lost)
		e.sent.Add(-lost)
		e.awaited.Add(-lost)
		e.sentBytes.Add(-lost * int64(len(e.gen.Message.Content)))
	}
}

// id returns the ID in the stamp of the connection's message with a number.
func (c *connection) id(sequence int64) uint64 { return payload.ID(c.gen.First+c.number, sequence) }

func (e *echo) timeOf(sequence int64) *atomic.Int64 {
	return &e.sentAt[sequence%int64(len(e.sentAt))]
}

// onMessage checks an echo and sends the next message.
func (e *echo) onMessage(op websock.Opcode, msg []byte) {
	sequence := e.echoed.Load()
	if !e.checkEcho(sequence < e.sequence.Load(), e.id(sequence), op, msg) {
		return
	}
	now := e.gen.now()
	e.latency.Record(time.Duration(now - e.timeOf(sequence).Load()))
	e.answered.Add(1)
	if e.gen.is(exchanging) {
		e.sendNext(msg, now)
	}
	e.echoed.Add(1) // after sequence, so that a connection in use never looks idle
}

// sendNext sends the next message in the memory of msg: only the stamp changes.
func (e *echo) sendNext(msg []byte, now int64) {
	sequence := e.sequence.Add(1) - 1
	if e.queue != nil {
		e.queue <- sequence // never blocks: one of the window has just been received
		return
	}
	payload.Stamp(msg, e.id(sequence))
	e.timeOf(sequence).Store(now)
	if e.SendFrame(e.gen.Message.Opcode, true, msg) != nil {
		e.sequence.Add(-1)
		return
	}
	e.countAwaited(len(msg))
}

func (e *echo) onClose(err error) {
	if errors.Is(err, fanout.ErrRemoved) {
		e.takeBack()
	}
	if e.queue != nil {
		close(e.queue)
	}
}

// inFlight counts a message also if its echo came before sendQueued has counted it: nothing may be counted
// after the last wait for answers.
func (e *echo) inFlight() int64 {
	done := e.echoed.Load() // before sequence: see onMessage
	if e.queue != nil {
		done = min(done, e.counted.Load())
	}
	return e.sequence.Load() - done
}

// checkEcho reports whether a message is the echo of the one with an ID, if there is one in flight. If not,
// it counts a failure; an echo that differs from what was sent ends the connection.
func (c *connection) checkEcho(inFlight bool, id uint64, op websock.Opcode, msg []byte) bool {
	g := c.gen
	switch {
	case !inFlight, !g.Message.HasStamp(msg, id):
		g.failures.add("unexpected message", 1, fmt.Errorf("%v of %d bytes: %.32q", op, len(msg), msg))
	case !g.Message.IsIntact(op, msg):
		g.failures.add("payload mismatch", 1, fmt.Errorf("%v of %d bytes, sent as %v", op, len(msg), g.Message.Opcode))
		c.CloseWith(websock.ClosePolicyViolation, "the echo differs from what was sent")
	default:
		return true
	}
	return false
}
