package fanout

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// ErrDown is what a send returns for a slot that isn't connected and keeps no messages: nothing
// was sent. Slot.Err says why the slot isn't connected.
var ErrDown = errors.New("fanout: the slot is not connected")

// ErrUnknownKey is what Group.Send returns for a key that no slot has.
var ErrUnknownKey = errors.New("fanout: no slot has this key")

// A State is what a slot is doing.
type State uint8

// The states of a slot.
const (
	Waiting    State = iota // for its time, or its turn, to dial
	Connecting              // from Prepare to the end of OnConnect
	Up                      // connected
	Stopped                 // not dialed again: after a permanent failure, or Shutdown
	states
)

// String returns the state's name: "waiting", "connecting", "up" or "stopped".
func (s State) String() string {
	if s >= states {
		return "invalid"
	}
	return [...]string{"waiting", "connecting", "up", "stopped"}[s]
}

// A Slot is a place for one connection at a time. Its methods may be called from any goroutine,
// also from the functions of Options, and none of them waits for the network.
type Slot struct {
	group  *Group
	number int
	key    string // "": the number in decimal

	mu       sync.Mutex
	phase    phase
	failures uint32        // in a row
	due      time.Duration // when runDue has something to do, since the Group began; 0: never
	link     *link         // nil: not up
	outbox   *outbox       // nil: nothing waits
	err      error         // why it isn't up

	topics map[*topic]int // its index among the subscribers of each; under the lock of the Group's topics
}

// Group returns the slot's Group, also to functions of Options that are called before Start has
// returned.
func (s *Slot) Group() *Group { return s.group }

// Number returns the slot's number, 0 to Options.Size-1.
func (s *Slot) Number() int { return s.number }

// Key returns the slot's key: see Options.Key.
func (s *Slot) Key() string {
	if s.key == "" {
		return strconv.Itoa(s.number)
	}
	return s.key
}

// State returns what the slot is doing.
func (s *Slot) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase.state()
}

// Err returns the error with which the last attempt failed or the last connection was lost, a
// *DownError. It is nil while the slot is up, and until its first attempt has ended.
func (s *Slot) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Failures returns how many attempts failed or connections were lost in a row. Backoff says which
// connections end such a row.
func (s *Slot) Failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.failures)
}

// Conn returns the connection, nil while the slot isn't up. Within OnMessage and OnData it is
// never nil, but the connection from which the message came. It serves for what Slot has no method
// for: Pause and Resume, Stats, a CloseWith after which the slot dials again, fragmented messages.
// While a fragmented message is under way, broadcasts to this slot fail with
// websock.ErrFrameOrder.
func (s *Slot) Conn() *websock.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return nil
	}
	return s.link.conn
}

// RTT returns the round trip time that the last answered ping of the connection has measured; 0:
// none was answered yet, or the slot isn't up.
func (s *Slot) RTT() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return 0
	}
	return s.link.rtt
}

// Retry dials the slot as soon as Pace allows, if it waits after a failure or has stopped after a
// permanent one. It also ends the time for which the slot's host has asked not to be dialed.
// Within OnDown, it takes effect when that has returned. It does nothing while the slot is
// connecting or up, and after Shutdown.
func (s *Slot) Retry() {
	if s.retry() {
		s.group.dials.endPause(s)
	}
}

// retry reports whether the slot is in the dialQueue already.
func (s *Slot) retry() (inQueue bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.group.closing() {
		return false
	}
	if s.handleLocked(eventRetry) && s.phase == retrying {
		s.runDueAfterLocked(0)
	}
	return s.phase == queued
}

// A phase is what a slot is doing, in more detail than State.
type phase uint8

const (
	noPhase        phase = iota
	delayed              // until its time has come
	retrying             // like queued, before it is in the dialQueue: Retry was called
	queued               // for its turn to dial
	connecting           // an attempt is under way
	up                   // there is a link
	notifying            // OnDown is being called, then delayed
	notifyingRetry       // OnDown is being called, then retrying
	notifyingStop        // OnDown is being called, then stopped
	stopped              // until Retry is called
	phases
)

// state returns the phase as the application sees it.
func (p phase) state() State {
	switch p {
	case connecting:
		return Connecting
	case up:
		return Up
	case notifyingStop, stopped:
		return Stopped
	}
	return Waiting
}

// An event makes a slot go from one phase to another.
type event uint8

const (
	eventDue       event = iota // the delay is over
	eventEnqueued               // it is in the dialQueue
	eventDial                   // its turn has come
	eventConnected              // the attempt has succeeded
	eventFailed                 // the attempt has failed or the connection is lost
	eventPermanent              // likewise, and the slot stops
	eventNotified               // OnDown has returned
	eventRetry                  // Retry was called
	eventClose                  // Shutdown stops what is neither connecting nor up
	eventCut                    // Shutdown no longer waits for the attempt or the connection
	events
)

// transitions says to which phase an event leads. Without an entry the event changes nothing.
var transitions = [phases][events]phase{
	delayed: {
		eventDue:   queued,
		eventRetry: retrying,
		eventClose: stopped,
	},
	retrying: {
		eventEnqueued:  queued,
		eventFailed:    notifying, // the target can't be used
		eventPermanent: notifyingStop,
		eventClose:     stopped,
	},
	queued: {
		eventDial:      connecting,
		eventFailed:    notifying, // the target can't be used
		eventPermanent: notifyingStop,
		eventClose:     stopped,
	},
	connecting: {
		eventConnected: up,
		eventFailed:    notifying,
		eventPermanent: notifyingStop,
		eventCut:       stopped,
	},
	up: {
		eventFailed:    notifying,
		eventPermanent: notifyingStop,
		eventCut:       stopped,
	},
	notifying: {
		eventNotified: delayed,
		eventRetry:    notifyingRetry,
		eventClose:    notifyingStop,
	},
	notifyingRetry: {
		eventNotified: retrying,
		eventClose:    notifyingStop,
	},
	notifyingStop: {
		eventNotified: stopped,
		eventRetry:    notifyingRetry,
	},
	stopped: {
		eventRetry: retrying,
	},
}

// handleLocked changes the phase, and reports whether the event does.
func (s *Slot) handleLocked(e event) bool {
	next := transitions[s.phase][e]
	if next == noPhase {
		return false
	}
	if from, to := s.phase.state(), next.state(); from != to {
		s.group.countState(from, to)
	}
	s.phase = next
	return true
}

// runDueAfterLocked has runDue called after d, in place of any earlier request.
func (s *Slot) runDueAfterLocked(d time.Duration) {
	d = max(d, 1) // a due of 0 is none
	s.due = s.group.now() + d
	s.group.scheduler.Add(d, (*dueTask)(s))
}

// A dueTask is a Slot as the Group's scheduler sees it.
type dueTask Slot

// Run makes a dueTask a timing.Task.
func (t *dueTask) Run() time.Duration {
	(*Slot)(t).runDue()
	return 0
}

// runDue does what is due: the slot is dialed, or its connection kept alive.
func (s *Slot) runDue() {
	s.mu.Lock()
	if s.due == 0 || s.due > s.group.now() {
		s.mu.Unlock()
		return // what is due now is another thing, and has a task of its own
	}
	s.due = 0
	var dials bool
	var dead *websock.Conn
	switch s.phase {
	case delayed, retrying:
		dials = true
		s.handleLocked(eventDue)
	case up:
		dead = s.keepAliveLocked()
	}
	s.mu.Unlock()
	switch {
	case dials:
		s.group.enqueue(s)
	case dead != nil:
		dead.Abort(websock.ErrIdle) // OnClose follows
	}
}
