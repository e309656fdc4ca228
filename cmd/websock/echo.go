package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// An echo is one connection of a fleet: it sends messages and expects each of them
// back, in order.
type echo struct {
	fleet     *fleet
	number    int
	conn      *engine.Conn
	latencies *latency

	sent     atomic.Int64 // messages sent or about to be
	received atomic.Int64 // echoes
	closed   atomic.Bool

	started bool // under the fleet's lock
	counted bool // in its slot's totals, likewise

	// times has the times of sending of the messages in flight, each at its
	// sequence number modulo the window.
	times []atomic.Int64

	// slots has the sequence numbers that can be sent, where the connection has
	// a goroutine that sends; see sendAll.
	slots chan int64
}

func newEcho(f *fleet, number int, conn *engine.Conn) *echo {
	e := &echo{
		fleet:     f,
		number:    number,
		conn:      conn,
		latencies: f.latencies[number%len(f.latencies)],
		times:     make([]atomic.Int64, f.window),
	}
	if !f.gathers() {
		e.slots = make(chan int64, f.window)
	}
	return e
}

// start puts the first messages in flight, when it is called first.
func (e *echo) start() {
	if !e.begin() {
		return
	}
	if e.slots != nil {
		go e.sendAll()
		return
	}
	// While corked nothing leaves, so that no echo comes before all of them
	// have their place in the order.
	e.conn.Cork()
	for sequence := range int64(e.fleet.window) {
		e.send(sequence)
	}
	e.conn.Flush() // a failure shows in OnClose
}

// begin counts the first messages as sent, and reports whether they are to be: not on a
// connection that comes up when the exchange is over.
func (e *echo) begin() bool {
	e.fleet.mu.Lock()
	defer e.fleet.mu.Unlock()
	if e.started || e.closed.Load() || e.fleet.stopping.Load() {
		return false
	}
	e.started = true
	e.sent.Add(int64(e.fleet.window))
	return true
}

// sendAll sends the first messages and then one for each echo. A window too large
// for the buffers between us and the server needs it: were messages sent while
// echoes are received, both sides could wait for each other to read.
func (e *echo) sendAll() {
	for sequence := range int64(e.fleet.window) {
		e.send(sequence)
	}
	for sequence := range e.slots {
		e.send(sequence)
	}
}

// send sends a message, once there is room for it.
func (e *echo) send(sequence int64) {
	err := e.try(sequence)
	for isFull(err) {
		e.conn.Drain(0) // if it fails, so does what follows
		err = e.try(sequence)
	}
	if err != nil {
		e.unsend()
	}
}

// unsend takes back the count of a message that could not be sent.
func (e *echo) unsend() {
	e.fleet.mu.Lock()
	defer e.fleet.mu.Unlock()
	e.sent.Add(-1)
	if e.counted {
		e.fleet.slots[e.number].sent--
	}
}

// isFull reports whether a send was refused because too much waits for the server.
func isFull(err error) bool {
	var limit *engine.LimitError
	return errors.As(err, &limit) && limit.Limit == "SendQueue"
}

// try sends a message in memory of the connection.
func (e *echo) try(sequence int64) error {
	content := e.fleet.message.content
	buffer, err := e.conn.Reserve(len(content))
	if err != nil {
		return err
	}
	copy(buffer.Bytes(), content)
	stamp(buffer.Bytes(), e.stamp(sequence))
	e.time(sequence).Store(e.fleet.now())
	return buffer.SendFrame(e.fleet.message.op, true, len(content))
}

// stamp returns what distinguishes a message from all others.
func (e *echo) stamp(sequence int64) uint64 { return stampOf(e.fleet.first+e.number, sequence) }

func (e *echo) time(sequence int64) *atomic.Int64 {
	return &e.times[sequence%int64(len(e.times))]
}

// deliver takes a received message.
func (e *echo) deliver(op engine.Opcode, msg []byte) {
	f := e.fleet
	sequence := e.received.Load()
	switch {
	case sequence == e.sent.Load(), !f.message.stamped(msg, e.stamp(sequence)):
		f.failures.add("unexpected message", 1, fmt.Errorf("%v of %d bytes: %.32q", op, len(msg), msg))
		return
	case !f.message.intact(op, msg):
		f.failures.add("payload mismatch", 1, fmt.Errorf("%v of %d bytes, sent as %v", op, len(msg), f.message.op))
		e.conn.CloseWith(engine.ClosePolicyViolation, "the echo differs from what was sent")
		return
	}
	now := f.now()
	e.latencies.record(time.Duration(now - e.time(sequence).Load()))
	if !f.stopping.Load() {
		e.sendNext(msg, now)
	}
	e.received.Add(1) // after sent, so that a connection in use never looks idle
}

// sendNext sends the message that takes the place of msg, in its memory: only the
// stamp changes.
func (e *echo) sendNext(msg []byte, now int64) {
	sequence := e.sent.Add(1) - 1
	if e.slots != nil {
		e.slots <- sequence // there is room: one of the window has come back
		return
	}
	stamp(msg, e.stamp(sequence))
	e.time(sequence).Store(now)
	if e.conn.SendFrame(e.fleet.message.op, true, msg) != nil {
		e.unsend()
	}
}

// finish takes the connection's end.
func (e *echo) finish(err error) {
	closing := e.fleet.closing.Load()
	switch {
	case errors.Is(err, engine.ErrTimeout), closing && errors.Is(err, context.DeadlineExceeded):
		e.fleet.failures.add("close timeout", 1, err)
	case !closing && !endedByUs(err):
		e.fleet.failures.add(closeFailure(err), 1, err)
	}
	e.fleet.mu.Lock()
	e.closed.Store(true) // nothing starts any more
	e.fleet.mu.Unlock()
	if e.slots != nil {
		close(e.slots)
	}
}

// inFlight returns how many echoes are to come.
func (e *echo) inFlight() int64 {
	if e.closed.Load() {
		return 0
	}
	received := e.received.Load() // first: see deliver
	return e.sent.Load() - received
}
