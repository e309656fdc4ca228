package loadgen

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/seed004e8d11/websock"
)

// A conversation is what one connection does: which messages it sends when, and what it makes of those
// that it receives. It counts what it does in the tally of its connection.
//
// No method may block, but start may wait for a send. onMessage is called by one goroutine at a time,
// and not after onClose; start and inFlight may be called at the same time as any other.
type conversation interface {
	// start is called when messages may be sent: once at most, and not if the connection opens after the
	// exchanging phase.
	start()

	// onMessage is called with every message received, from the opening of the connection on. It was
	// counted as received. msg may be changed, and is valid until the method returns. In the exchanging
	// phase it may send; later it only receives the answers in flight.
	onMessage(op websock.Opcode, msg []byte)

	// onClose is called when the connection has ended, with the reason.
	onClose(err error)

	// inFlight returns how many answers are outstanding while the connection is open. It never returns 0
	// while onMessage is about to send.
	inFlight() int64
}

// A connection is a WebSocket of a LoadGen, with what it does.
type connection struct {
	*websock.Conn
	*tally
	gen    *LoadGen
	number int // of its slot
	state  atomic.Int32
	conversation
}

// The states of a connection. They change under LoadGen.mu.
const (
	connOpen    int32 = iota
	connStarted       // its conversation was started
	connClosed
)

func (g *LoadGen) newConnection(number int, conn *websock.Conn) *connection {
	c := &connection{Conn: conn, tally: g.tallyOf(number), gen: g, number: number}
	switch {
	case g.Scenario != nil:
		c.conversation = newScripted(c)
	case g.Mode == Receive || g.Window == 0:
		c.conversation = newListener(c)
	case g.Mode == Send:
		c.conversation = newPacedSender(c)
	case g.MessageRate > 0:
		c.conversation = newPacedEcho(c)
	default:
		c.conversation = newEcho(c)
	}
	return c
}

// begin starts the conversation if the LoadGen is exchanging messages and it wasn't started yet.
func (c *connection) begin() {
	if c.mayStart() {
		c.startOnce()
	}
}

// mayStart reports whether begin starts the conversation. Then startOnce must be called.
func (c *connection) mayStart() bool {
	g := c.gen
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.is(exchanging) || !c.state.CompareAndSwap(connOpen, connStarted) {
		return false
	}
	g.starting.Add(1)
	return true
}

// startOnce starts the conversation, after mayStart.
func (c *connection) startOnce() {
	defer c.gen.starting.Done()
	c.start()
}

// end counts the end of the connection as a failure, unless we closed it.
func (c *connection) end(err error) {
	g := c.gen
	ended := g.is(closing) || endedByUs(err)
	switch {
	case errors.Is(err, websock.ErrTimeout), ended && errors.Is(err, context.DeadlineExceeded):
		g.failures.add("close timeout", 1, err)
	case !ended && g.expectsEnd(err):
		g.countUnanswered(c, err)
	case !ended && !closedByUs(err):
		g.failures.add(closeFailure(err), 1, err)
	}
	g.mu.Lock()
	c.state.Store(connClosed)
	g.mu.Unlock()
	c.onClose(err)
}

func (c *connection) isClosed() bool { return c.state.Load() == connClosed }
