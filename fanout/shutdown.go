package fanout

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/seed004e8d11/websock"
)

// ErrClosed is what calls return after Shutdown. errors.Is(ErrClosed, net.ErrClosed) holds.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string        { return "fanout: the group is closed" }
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// Shutdown stops dialling, sends what was sent and has not left, and closes every connection
// with close code 1001, each within its Limits.CloseTimeout. It returns when all have ended, and
// all functions of Options have returned. What slots had kept is dropped, and OnUnsent told.
//
// When ctx ends before, it cuts the connections that have not ended, and the error says how many
// slots these were. It then waits a moment for the functions of Options that are to be told, but
// not for one that doesn't return; and none is called after it has returned. So such a function
// may call Shutdown itself, with a ctx that ends: it is then one of those that are not waited
// for.
//
// A second call waits like the first. After Shutdown nothing keeps the Group in memory.
func (g *Group) Shutdown(ctx context.Context) error {
	g.closing.Store(true)
	g.dials.close()
	g.stop()
	g.finishOnce()
	err := g.waitUntil(ctx, g.hasEnded)
	if err != nil {
		err = g.cutAll(err)
	}
	g.over.Store(true)
	g.cut()
	g.scheduler.Stop()
	return err
}

// hasEnded reports whether all that Shutdown waits for has ended. The lock is held.
func (g *Group) hasEnded() bool {
	return g.inState[Stopped] == len(g.slots) && g.running == 0
}

// finishOnce ends the slots, unless another Shutdown does.
func (g *Group) finishOnce() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.finishing {
		g.finishing = true
		g.running++
		go g.finish()
	}
}

func (g *Group) finish() {
	defer g.done()
	for i := range g.slots {
		g.slots[i].finish()
	}
}

// grace is how long Shutdown waits, after it has cut the connections, for anything to happen.
const grace = 250 * time.Millisecond

// cutAll aborts the connections that are left, and gives up the slots where a function of the
// application doesn't return.
func (g *Group) cutAll(cause error) error {
	g.cut()
	left := 0
	for i := range g.slots {
		s := &g.slots[i]
		if s.State() != Stopped {
			left++
		}
		if c := s.Conn(); c != nil {
			c.Abort(cause)
		}
	}
	for g.goesOn() {
	}
	for i := range g.slots {
		g.slots[i].giveUp(cause)
	}
	return fmt.Errorf("fanout: %d connections were cut: %w", left, cause)
}

// goesOn waits for a while and reports whether more slots and calls have come to their end
// meanwhile, but not all.
func (g *Group) goesOn() bool {
	g.mu.Lock()
	before := g.changes
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if g.waitUntil(ctx, g.hasEnded) == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changes != before+1 // which waitUntil makes itself
}

// giveUp stops a slot whose end has not come.
func (s *Slot) giveUp(cause error) {
	g := s.group
	g.counts.losing.Lock()
	defer g.counts.losing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == Stopped {
		return
	}
	s.err, s.due = g.down(ShutDown, cause), 0
	if s.link == nil {
		g.counts.failed(s.err)
	} else {
		g.counts.lost(s.link.conn.Stats(), s.err) // the link stays, for OnMessage to see
	}
	s.move(Stopped)
	g.counts.dropped(s.trimOutbox())
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
	if dropped > 0 {
		s.group.begin()
		go s.dropOutbox(dropped)
	}
	if l != nil && l.queues {
		l.conn.CloseWith(websock.CloseGoingAway, "") // doesn't wait
	}
}

// dropOutbox tells the application that messages were dropped.
func (s *Slot) dropOutbox(messages int) {
	defer s.group.done()
	defer s.recovered()
	s.unsent(messages, ErrClosed)
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
