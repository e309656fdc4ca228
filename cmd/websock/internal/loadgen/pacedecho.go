package loadgen

import (
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/payload"
)

// A pacedEcho is the conversation with an echo server in the open model: messages are sent when they are
// due. Answers are the echoes, in order.
type pacedEcho struct {
	*connection

	mu      sync.Mutex
	sent    int64      // number of messages that were sent
	echoed  int64      // number of those that came back
	flights []sentTime // of those in flight, at their number modulo the length, which is a power of 2
}

// A sentTime says when a message was due and when it was sent.
type sentTime struct {
	due  time.Duration
	sent time.Duration // notAlone: a client that waits for answers would not have sent it yet
}

const notAlone = time.Duration(-1)

// maxInFlight bounds the messages in flight on all connections together, and so what a run takes to
// remember when they were due; but each connection may have minInFlight. At the bound, the next message
// waits, and is late.
const (
	maxInFlight = 1 << 22
	minInFlight = 64
)

func newPacedEcho(c *connection) *pacedEcho { return &pacedEcho{connection: c} }

func (e *pacedEcho) start() {} // the pace of the slot sends

func (e *pacedEcho) send(now, late time.Duration, message []byte) bool {
	sequence, ok := e.push(now, late)
	if !ok {
		return false
	}
	payload.Stamp(message, e.id(sequence))
	if e.TrySend(e.gen.Message.Opcode, message) != nil {
		e.unpush()
		return false
	}
	e.countAwaited(len(message))
	e.lateness.Record(late)
	return true
}

// push counts a message as sent now, and returns its number. It returns false if too many are in flight.
func (e *pacedEcho) push(now, late time.Duration) (sequence int64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	inFlight := int(e.sent - e.echoed)
	if inFlight >= max(maxInFlight/len(e.gen.slots), minInFlight) {
		return 0, false
	}
	if inFlight == len(e.flights) {
		e.growLocked()
	}
	t := sentTime{due: now - late, sent: now}
	if inFlight >= e.gen.Window {
		t.sent = notAlone
	}
	sequence = e.sent
	*e.flightLocked(sequence) = t
	e.sent++
	return sequence, true
}

// unpush takes back the last push, of a message that could not be sent.
func (e *pacedEcho) unpush() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sent--
}

func (e *pacedEcho) flightLocked(sequence int64) *sentTime {
	return &e.flights[sequence&int64(len(e.flights)-1)]
}

// growLocked makes room for more messages in flight.
func (e *pacedEcho) growLocked() {
	old := e.flights
	e.flights = make([]sentTime, max(2*len(e.flights), 1))
	for sequence := e.echoed; sequence < e.sent; sequence++ {
		*e.flightLocked(sequence) = old[sequence&int64(len(old)-1)]
	}
}

func (e *pacedEcho) onMessage(op websock.Opcode, msg []byte) {
	e.mu.Lock()
	sequence, inFlight := e.echoed, e.echoed < e.sent
	var t sentTime
	if inFlight {
		t = *e.flightLocked(sequence)
	}
	e.mu.Unlock()
	if !e.checkEcho(inFlight, e.id(sequence), op, msg) {
		return
	}
	now := time.Duration(e.gen.now())
	e.latency.Record(now - t.due)
	if t.sent != notAlone {
		e.closedLoop.Record(now - t.sent)
	}
	e.answered.Add(1)
	e.mu.Lock()
	e.echoed++
	e.mu.Unlock()
}

func (e *pacedEcho) onClose(error) {}

func (e *pacedEcho) inFlight() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sent - e.echoed
}
