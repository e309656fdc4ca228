package fanout

import (
	"errors"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/h2"
)

var (
	errStopped   = errors.New("fanout: the slot was stopped")
	errReconnect = errors.New("fanout: the slot is to be connected anew")
)

// Retry dials the slot as soon as Pace allows, if it waits after a failure or has stopped after a
// permanent one. It also ends the time for which the slot's host has asked not to be dialed.
// Within OnDown, it takes effect when that has returned. It does nothing while the slot is
// connecting or up, after Stop, and after Shutdown.
func (s *Slot) Retry() {
	r := &request{slot: s, wish: wishRetry, keeps: true}
	r.do()
}

// Reconnect replaces the slot's connection: sends return ErrDown from now on, what was sent before is
// written, the connection is closed with code 1000, within the Limits.CloseTimeout of its Config, and
// the slot is dialed again as soon as Pace allows, without Backoff. An attempt to connect is aborted
// and made again. OnDown gets the Reason Ended for both, and 0 for the time. A slot that is down is
// dialed as by Retry.
func (s *Slot) Reconnect() {
	r := &request{slot: s, wish: wishRetry, cause: errReconnect, code: websock.CloseNormal}
	r.do()
}

// Stop takes the slot down until Resume is called: sends return ErrDown from now on, what was sent
// before is written, and the connection is closed with code 1000, within the Limits.CloseTimeout of
// its Config. An attempt to connect is aborted at once. OnDown is told of the end of both, with the
// Reason Ended. Messages that were kept for the next connection are dropped, and OnUnsent is told.
func (s *Slot) Stop() {
	r := &request{slot: s, wish: wishStop, cause: errStopped, code: websock.CloseNormal}
	r.do()
}

// Resume dials the slot as soon as Pace allows, if Stop was called or it has stopped after a permanent
// failure. While its connection or attempt is still being ended, that takes effect afterwards. It does
// nothing else, and nothing after Shutdown.
func (s *Slot) Resume() {
	r := &request{slot: s, wish: wishResume}
	r.do()
}

// A request asks a slot for something, and does what follows from that.
type request struct {
	slot   *Slot
	wish   wish
	cause  error             // with which an attempt ends, and messages are dropped
	code   websock.CloseCode // with which a connection is closed
	aborts bool              // it isn't closed, but aborted
	keeps  bool              // a slot that is connecting or up is left alone

	changed bool     // the slot's intent has changed
	remove  *attempt // from the dialQueue
	hurry   *attempt // in the dialQueue
	cancel  *attempt
	close   *link
	dropped int  // messages, of which OnUnsent is to be told
	ended   bool // the slot has, by this
}

func (r *request) do() {
	s := r.slot
	s.mu.Lock()
	r.applyLocked()
	s.mu.Unlock()
	r.carryOut()
}

// applyLocked changes the slot, and notes what is to be done without its lock. carryOut has to be
// called.
func (r *request) applyLocked() {
	s, g := r.slot, r.slot.group
	g.addRunning() // Shutdown waits for carryOut
	dials := r.wish == wishRetry || r.wish == wishResume
	if dials && g.closing() || r.keeps && (s.phase == connecting || s.phase == up) {
		return
	}
	before, wasOnWayDown := s.phase, s.onWayDownLocked()
	r.changed = s.wishLocked(r.wish)
	switch s.phase {
	case queued:
		if dials {
			r.hurry = s.attempt
		}
	case connecting:
		if r.cause != nil && s.onWayDownLocked() {
			r.cancel = s.attempt
		}
	case up:
		r.closeLocked(wasOnWayDown)
	}
	if before == queued && s.phase != queued {
		r.remove, s.attempt = s.attempt, nil
	}
	if stateOf(s.phase, s.intent) == Stopped {
		r.dropped = s.trimOutboxLocked()
	}
	if r.dropped > 0 {
		s.calls++
	}
	r.ended = r.changed && s.endedLocked()
}

// closeLocked has the connection closed or aborted.
func (r *request) closeLocked(wasOnWayDown bool) {
	s := r.slot
	switch {
	case r.aborts:
		r.close = s.link
	case wasOnWayDown || !s.onWayDownLocked():
	case s.link.queues:
		r.close = s.link
	default:
		s.closeAfterOutboxLocked(r.code)
	}
}

// closeAfterOutboxLocked has a worker close the connection when all messages are sent.
func (s *Slot) closeAfterOutboxLocked(code websock.CloseCode) {
	o := s.ensureOutboxLocked()
	o.closeCode = code
	s.link.conn.SetSendDeadline(time.Now().Add(s.link.closeTimeout)) // an error means that the connection has ended
	o.scheduleLocked()
}

// session returns the HTTP/2 connection of the connection that carryOut closes; nil: there is none.
func (r *request) session() *h2.Session { return r.close.session() }

// carryOut does what applyLocked has noted.
func (r *request) carryOut() {
	s, g := r.slot, r.slot.group
	defer g.doneRunning()
	if r.remove != nil {
		g.dials.remove(r.remove)
	}
	if r.hurry != nil {
		g.dials.hurry(r.hurry)
	}
	if r.cancel != nil {
		r.cancel.cancel()
	}
	switch l := r.close; {
	case l == nil:
	case r.aborts:
		l.conn.Abort(r.cause) // OnClose follows
	default:
		l.conn.CloseWith(r.code, "") // doesn't wait
	}
	if r.dropped > 0 {
		g.addRunning()
		go s.reportDropped(r.dropped, r.cause)
	}
	if r.ended {
		s.finish()
	}
}

// reportDropped calls OnUnsent for messages that a request has dropped.
func (s *Slot) reportDropped(messages int, err error) {
	defer s.group.doneRunning()
	defer s.endCall()
	defer s.recoverPanic()
	s.reportUnsent(messages, err)
}

// beginCall reports whether OnUnsent may be called beside what the phase tells of. Then endCall has to
// be called afterwards.
func (s *Slot) beginCall() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase == gone {
		return false
	}
	s.calls++
	return true
}

func (s *Slot) endCall() {
	s.mu.Lock()
	s.calls--
	ended := s.endedLocked()
	s.mu.Unlock()
	if ended {
		s.finish()
	}
}
