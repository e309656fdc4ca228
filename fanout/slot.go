package fanout

import (
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// ErrDown is what a send returns for a slot that isn't connected and keeps no messages:
// nothing was sent. Slot.Err says why it isn't.
var ErrDown = errors.New("fanout: the slot is not connected")

// ErrUnknownKey is what Group.Send returns for a key that no slot has.
var ErrUnknownKey = errors.New("fanout: no slot has this key")

// A State is what a slot is doing.
type State uint8

// The states of a slot.
const (
	Waiting    State = iota // for its turn to dial
	Connecting              // from Prepare to the end of OnConnect
	Up                      // connected
	Stopped                 // it isn't dialled again: after a permanent failure, or Shutdown
	states
)

// String returns the state's name.
func (s State) String() string {
	if s >= states {
		return "invalid"
	}
	return [...]string{"waiting", "connecting", "up", "stopped"}[s]
}

// A Slot is a place for one connection at a time. Its methods may be called from any
// goroutine.
type Slot struct {
	group  *Group
	number int
	key    string // "": the number in decimal

	mu       sync.Mutex
	state    State
	telling  bool          // OnDown is being called, and the slot isn't dialled before it returns
	retry    bool          // Retry was called meanwhile
	urgent   bool          // Retry was called, and the slot has not been enlisted since
	failures uint32        // in a row
	due      time.Duration // when to look at it next, since the Group began; 0: no need
	link     *link         // nil: not up
	outbox   *outbox       // nil: nothing waits
	err      error         // why it isn't up
}

// Group returns the slot's Group. A function of Options gets at it so before Start has returned.
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
	return s.state
}

// Err returns why the last attempt failed or the last connection was lost, nil while the
// slot is up or was never tried.
func (s *Slot) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Failures returns how many attempts failed or connections were lost in a row, a connection
// that was stable not counted: see Backoff.Stable.
func (s *Slot) Failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.failures)
}

// Conn returns the connection, nil while the slot isn't up. Within OnMessage and OnData it is
// the one that the message came on, never nil. It serves for what Slot has no method for: Pause
// and Resume, its Stats, a CloseWith that makes the slot dial again, fragments. While a
// fragmented message is under way, broadcasts to this slot fail with websock.ErrFrameOrder.
func (s *Slot) Conn() *websock.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return nil
	}
	return s.link.conn
}

// RTT returns the round trip that the last ping has measured, 0 if none has yet.
func (s *Slot) RTT() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return 0
	}
	return s.link.rtt
}

// Retry makes the slot dial as soon as its turn comes, if it waits for its time or has
// stopped after a permanent failure, and ends a time for which its host has asked.
func (s *Slot) Retry() {
	if s.retries() {
		s.group.dials.hurry(s)
	}
}

// retries makes the slot dial, and reports whether it is in the dialQueue already.
func (s *Slot) retries() (queued bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.group.closing.Load():
	case s.telling:
		s.retry = true
	case s.state == Waiting && s.due == 0:
		return true
	case s.state == Waiting, s.state == Stopped:
		s.wait(0)
		s.urgent = true
	}
	return false
}

// wait makes the slot wait for so long before it is dialled. The lock is held.
func (s *Slot) wait(d time.Duration) {
	s.move(Waiting)
	s.visitAfterLocked(d)
}

// move changes the state. The lock is held.
func (s *Slot) move(to State) {
	if s.state != to {
		s.group.moved(s.state, to)
		s.state = to
	}
}

// visitAfterLocked has runDue do something after d. The lock is held.
func (s *Slot) visitAfterLocked(d time.Duration) {
	d = max(d, 1) // a due of 0 is none
	s.due = s.group.now() + d
	s.group.scheduler.Add(d, (*dueTask)(s))
}

// A dueTask does what is due for a Slot.
type dueTask Slot

// Run makes a dueTask a timing.Task.
func (t *dueTask) Run() time.Duration {
	(*Slot)(t).runDue()
	return 0
}

// runDue does what is due: a slot that waited joins those that are to be dialled, one that is
// up is kept alive.
func (s *Slot) runDue() {
	s.mu.Lock()
	if s.due == 0 || s.due > s.group.now() {
		s.mu.Unlock()
		return // what is due now is another thing, and has a task of its own
	}
	s.due = 0
	state := s.state
	var dead *websock.Conn
	if state == Up {
		dead = s.keepAliveLocked()
	}
	s.mu.Unlock()
	switch {
	case state == Waiting:
		s.group.enlist(s)
	case dead != nil:
		dead.Abort(websock.ErrIdle) // OnClose follows
	}
}
