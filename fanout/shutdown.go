package fanout

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/gather"
)

// ErrClosed is what calls return after Shutdown. errors.Is(ErrClosed, net.ErrClosed) holds.
var ErrClosed error = closedError{}

type closedError struct{}

func (closedError) Error() string        { return "fanout: the group is closed" }
func (closedError) Is(target error) bool { return target == net.ErrClosed }

// Shutdown stops dialing, sends the messages that wait for connected peers, and closes every
// connection with close code 1001, each within its Limits.CloseTimeout. It returns when all
// connections and attempts have ended, also those of slots that were removed, and all functions of
// Options have returned. Messages that slots kept for their next connection are dropped and reported
// to OnUnsent.
//
// Where the transport can't queue, as std can't, what waits for a peer is sent for at most
// Limits.CloseTimeout; if the peer has taken all of it, the closing handshake has that time again.
//
// If ctx ends first, Shutdown aborts what is left; the error wraps that of ctx and says for how
// many slots that was. It then waits a moment for the functions of Options that this causes to be
// called, but not for one that doesn't return. No function of Options is called after Shutdown has
// returned. So such a function may itself call Shutdown with a ctx that ends: Shutdown then
// doesn't wait for that function.
//
// A Mux stays open, as others may use it: end it with Mux.Shutdown or Mux.Close afterwards.
//
// Another call waits as the first one does. After Shutdown nothing keeps the Group in memory.
func (g *Group) Shutdown(ctx context.Context) error {
	g.beginShutdown()
	err := g.waitUntil(ctx, g.endLocked)
	if err != nil {
		err = g.cutAll(err)
		g.endNow()
	}
	g.abortConns()
	g.endSlots(ErrClosed)
	g.scheduler.Stop()
	return err
}

// beginShutdown stops dialing and, the first time, closes the slots.
func (g *Group) beginShutdown() {
	g.mu.Lock()
	first := g.life.CompareAndSwap(uint32(lifeOpen), uint32(lifeClosing))
	if first {
		g.running++
	}
	g.mu.Unlock()
	g.dials.close()
	g.stopDials()
	if first {
		go g.closeSlots()
	}
}

func (g *Group) closeSlots() {
	defer g.doneRunning()
	gather.Each(slices.Collect(g.members.all()), (*Slot).session, (*Slot).close)
}

// hasEndedLocked reports whether all that Shutdown waits for has ended.
func (g *Group) hasEndedLocked() bool {
	return g.inState[Waiting]+g.inState[Connecting]+g.inState[Up]+g.inState[ending]+g.running == 0
}

// endLocked ends the Group, if all that Shutdown waits for has ended, and reports whether it has: in one
// step, so that nothing begins in between.
func (g *Group) endLocked() bool {
	if !g.hasEndedLocked() {
		return false
	}
	g.life.Store(uint32(lifeOver))
	return true
}

// endNow ends the Group in any case.
func (g *Group) endNow() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.life.Store(uint32(lifeOver))
}

// cutGrace is how long Shutdown waits for the next slot or call to end, after it has aborted the
// connections.
const cutGrace = 250 * time.Millisecond

// cutAll aborts the connections that are left, and stops the slots for which a function of Options
// doesn't return.
func (g *Group) cutAll(cause error) error {
	g.abortConns()
	left, all := 0, 0
	for s := range g.members.everyone() {
		all++
		if s.State() != Stopped {
			left++
		}
		if c := s.Conn(); c != nil {
			c.Abort(cause)
		}
	}
	for g.moreEnded() {
	}
	for s := range g.members.everyone() {
		s.cut(cause)
	}
	return fmt.Errorf("fanout: Shutdown has cut off %d of %d slots: %w", left, all, cause)
}

// moreEnded waits for cutGrace and reports whether more slots and calls have ended meanwhile, but
// not all of them.
func (g *Group) moreEnded() bool {
	g.mu.Lock()
	before := g.changes
	g.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), cutGrace)
	defer cancel()
	if g.waitUntil(ctx, g.hasEndedLocked) == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changes != before+1 // waitUntil itself adds 1
}

// close stops the slot, and closes its connection. An attempt ends by itself, since dialCtx has ended.
func (s *Slot) close() {
	r := &request{slot: s, wish: wishStop, cause: ErrClosed, code: websock.CloseGoingAway}
	r.do()
}

// stopIfClosingLocked does what closeSlots may not have done yet.
func (s *Slot) stopIfClosingLocked() {
	if s.group.closing() {
		s.wishLocked(wishStop)
	}
}

// cut stops the slot although its attempt or connection has not ended.
func (s *Slot) cut(cause error) {
	if s.cutOff(cause) {
		s.finish()
	}
}

// cutOff reports whether the slot has ended.
func (s *Slot) cutOff(cause error) bool {
	g := s.group
	g.counts.moving.Lock()
	defer g.counts.moving.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopIfClosingLocked()
	if !s.handleLocked(eventCut) {
		return false
	}
	s.err, s.due = &DownError{ShutDown, cause}, 0
	if s.link == nil {
		g.counts.failed(s.err)
	} else {
		g.counts.lost(s.link.conn.Stats(), s.err) // the link stays, for OnMessage to see
	}
	g.counts.dropped(s.trimOutboxLocked())
	return s.endedLocked()
}
