package loadgen

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
)

// An echoConn is one connection of a LoadGen. It sends messages and expects an echo of each, in
// order.
type echoConn struct {
	gen       *LoadGen
	number    int
	conn      *websock.Conn
	latencies *measure.Histogram

	sent     atomic.Int64 // messages sent or about to be sent
	received atomic.Int64 // echoes
	closed   atomic.Bool

	started  bool // under gen.mu
	replaced bool // counted in the totals of its slot; under gen.mu

	// sentAt has the time of sending of each message in flight, at its sequence number modulo
	// the window.
	sentAt []atomic.Int64

	// queue has the sequence numbers to send, if the connection has a goroutine that sends: see
	// sendQueued. Otherwise it is nil.
	queue chan int64
}

func newEchoConn(g *LoadGen, number int, conn *websock.Conn) *echoConn {
	c := &echoConn{
		gen:       g,
		number:    number,
		conn:      conn,
		latencies: g.histograms[number%len(g.histograms)],
		sentAt:    make([]atomic.Int64, g.Window),
	}
	if !g.windowFitsQueue() {
		c.queue = make(chan int64, g.Window)
	}
	return c
}

// start sends the first window, in the exchanging phase and once.
func (c *echoConn) start() {
	if !c.tryStart() {
		return
	}
	if c.queue != nil {
		go c.sendQueued()
		return
	}
	// While the connection is corked nothing is written, so no echo can arrive before the whole
	// window has its sequence numbers.
	c.conn.Cork()
	for sequence := range int64(c.gen.Window) {
		c.send(sequence)
	}
	c.conn.Flush() // onClose gets the error
}

// tryStart reports whether start may send, and counts the first window as sent.
func (c *echoConn) tryStart() bool {
	c.gen.mu.Lock()
	defer c.gen.mu.Unlock()
	if c.started || c.closed.Load() || !c.gen.is(exchanging) {
		return false
	}
	c.started = true
	c.sent.Add(int64(c.gen.Window))
	return true
}

// sendQueued sends the first window and then one message for each echo. A window that is too
// large for the buffers between client and server needs this goroutine: if onMessage sent, both
// sides could wait for each other to read.
func (c *echoConn) sendQueued() {
	for sequence := range int64(c.gen.Window) {
		c.send(sequence)
	}
	for sequence := range c.queue {
		c.send(sequence)
	}
}

// send sends a message, and waits if the send queue is full.
func (c *echoConn) send(sequence int64) {
	err := c.trySend(sequence)
	for errors.Is(err, websock.ErrSendQueueFull) {
		c.conn.Drain(0) // after an error, so does trySend fail
		err = c.trySend(sequence)
	}
	if err != nil {
		c.uncount()
	}
}

// trySend writes a message into a buffer of the connection and sends it.
func (c *echoConn) trySend(sequence int64) error {
	content := c.gen.Message.Content
	buffer, err := c.conn.Reserve(len(content))
	if err != nil {
		return err
	}
	copy(buffer.Bytes(), content)
	payload.Stamp(buffer.Bytes(), c.id(sequence))
	c.timeOf(sequence).Store(c.gen.now())
	return buffer.SendFrame(c.gen.Message.Opcode, true, len(content))
}

// uncount corrects the counters after a message that was counted could not be sent.
func (c *echoConn) uncount() {
	c.gen.mu.Lock()
	defer c.gen.mu.Unlock()
	c.sent.Add(-1)
	if c.replaced {
		c.gen.slots[c.number].sent--
	}
}

// id returns the ID in the stamp of a message.
func (c *echoConn) id(sequence int64) uint64 { return payload.ID(c.gen.First+c.number, sequence) }

func (c *echoConn) timeOf(sequence int64) *atomic.Int64 {
	return &c.sentAt[sequence%int64(len(c.sentAt))]
}

// onMessage checks an echo and sends the next message.
func (c *echoConn) onMessage(op websock.Opcode, msg []byte) {
	g := c.gen
	sequence := c.received.Load()
	switch {
	case sequence == c.sent.Load(), !g.Message.HasStamp(msg, c.id(sequence)):
		g.failures.add("unexpected message", 1, fmt.Errorf("%v of %d bytes: %.32q", op, len(msg), msg))
		return
	case !g.Message.IsIntact(op, msg):
		g.failures.add("payload mismatch", 1, fmt.Errorf("%v of %d bytes, sent as %v", op, len(msg), g.Message.Opcode))
		c.conn.CloseWith(websock.ClosePolicyViolation, "the echo differs from what was sent")
		return
	}
	now := g.now()
	c.latencies.Record(time.Duration(now - c.timeOf(sequence).Load()))
	if g.is(exchanging) {
		c.sendNext(msg, now)
	}
	c.received.Add(1) // after sent, so that a connection in use never looks idle
}

// sendNext sends the next message in the memory of msg: only the stamp changes.
func (c *echoConn) sendNext(msg []byte, now int64) {
	sequence := c.sent.Add(1) - 1
	if c.queue != nil {
		c.queue <- sequence // never blocks: one of the window has just been received
		return
	}
	payload.Stamp(msg, c.id(sequence))
	c.timeOf(sequence).Store(now)
	if c.conn.SendFrame(c.gen.Message.Opcode, true, msg) != nil {
		c.uncount()
	}
}

// onClose counts the end of the connection as a failure, unless we closed it.
func (c *echoConn) onClose(err error) {
	ended := c.gen.is(closing) || endedByUs(err)
	switch {
	case errors.Is(err, websock.ErrTimeout), ended && errors.Is(err, context.DeadlineExceeded):
		c.gen.failures.add("close timeout", 1, err)
	case !ended && !closedByUs(err):
		c.gen.failures.add(closeFailure(err), 1, err)
	}
	c.gen.mu.Lock()
	c.closed.Store(true) // start sends nothing from here on
	c.gen.mu.Unlock()
	if c.queue != nil {
		close(c.queue)
	}
}

// inFlight returns how many echoes are outstanding.
func (c *echoConn) inFlight() int64 {
	if c.closed.Load() {
		return 0
	}
	received := c.received.Load() // before sent: see onMessage
	return c.sent.Load() - received
}
