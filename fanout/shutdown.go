package fanout

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// ErrClosed is what calls return after Shutdown. errors.Is(ErrClosed, net.ErrClosed) holds.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string        { return "fanout: the group is closed" }
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// Shutdown stops dialling, sends what was sent and has not left, and closes every connection
// with close code 1001, each within its Limits.CloseTimeout. It returns when all have ended.
// When ctx ends before, it aborts those that have not, and the error says how many. What slots
// had kept is dropped, and OnUnsent told. Afterwards nothing is called any more; so it must not
// be called from a function of Options. A second call waits like the first.
func (g *Group) Shutdown(ctx context.Context) error {
	g.closing.Store(true)
	g.stop()
	g.dials.close()
	for i := range g.slots {
		g.slots[i].finish()
	}
	stopped := func(in *[states]int) bool { return in[Stopped] == len(g.slots) }
	if err := g.waitUntil(ctx, stopped); err != nil {
		return g.cut(err, stopped)
	}
	g.rest()
	return nil
}

// rest waits for the calls that are under way when all slots have stopped.
func (g *Group) rest() {
	g.dials.running.Wait()
	g.telling.Wait()
}

// cut aborts the connections that are left.
func (g *Group) cut(cause error, stopped func(*[states]int) bool) error {
	left := 0
	for i := range g.slots {
		if c := g.slots[i].Conn(); c != nil {
			left++
			c.Abort(cause)
		}
	}
	g.waitUntil(context.Background(), stopped)
	g.rest()
	return fmt.Errorf("fanout: %d connections were cut: %w", left, cause)
}

// finish makes the slot's connection its last one.
func (s *Slot) finish() {
	s.mu.Lock()
	l := s.link
	switch {
	case l != nil && !l.queues:
		s.closeLast()
	case l == nil && s.state == Waiting:
		s.due = 0
		s.move(Stopped)
	}
	dropped := 0
	if s.state == Stopped {
		dropped = s.trimOutbox()
	}
	s.mu.Unlock()
	s.unsent(dropped, ErrClosed)
	if l != nil && l.queues {
		l.conn.CloseWith(engine.CloseGoingAway, "") // doesn't wait
	}
}

// closeLast has the crew close the connection when all has been sent. The lock is held.
func (s *Slot) closeLast() {
	if s.outbox == nil {
		s.outbox = &outbox{slot: s}
	}
	s.outbox.last = true
	s.link.conn.SetSendDeadline(time.Now().Add(s.link.patience)) // if it fails, the connection has ended
	s.outbox.callCrew()
}
