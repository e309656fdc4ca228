package fanout

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
)

// ErrDown is what a send returns for a slot that isn't connected and keeps no messages: nothing
// was sent. Slot.Err says why the slot isn't connected.
var ErrDown = errors.New("fanout: the slot is not connected")

// ErrUnknownKey is what Group.Send and Group.Remove return for a key that no slot has.
var ErrUnknownKey = errors.New("fanout: no slot has this key")

// A State is what a slot is doing.
type State uint8

// The states of a slot.
const (
	Waiting    State = iota // for its time, or its turn, to dial
	Connecting              // from Prepare to the end of OnConnect
	Up                      // connected, also while the connection is being closed
	Stopped                 // not dialed again: after a permanent failure, Stop, Remove or Shutdown
	states

	ending = states // removed, but not ended: only Group.inState has it
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
	key    string                    // "": the number in decimal
	rare   atomic.Pointer[rareState] // what few slots have; nil: nothing
	number int32

	mu           sync.Mutex
	phase        phase
	intent       intent
	failedTarget uint16        // 1 + the index of the Target that failed last since it was up; 0: none did
	calls        uint32        // of OnUnsent that the phase doesn't tell of
	failures     uint32        // in a row
	due          time.Duration // when runDue has something to do, since the Group began; 0: never
	attempt      *attempt      // nil: none is queued or under way
	link         *link         // nil: not up
	outbox       *outbox       // nil: nothing waits
	err          *DownError    // why it isn't up
}

// rareState is what few slots have.
type rareState struct {
	targets *targetSet // SlotOptions.Targets; nil: none

	// The slot's lock guards these.
	value any
	ctx   context.Context // nil: Context was not called
	end   context.CancelCauseFunc

	subscriptions []subscription // to topics, sorted by their names; the lock of Group.topics guards them
}

// ensureRare returns the slot's rareState, which may be empty.
func (s *Slot) ensureRare() *rareState {
	if s.rare.Load() == nil {
		s.rare.CompareAndSwap(nil, new(rareState))
	}
	return s.rare.Load()
}

// rareOrZero returns a rareState that must not be changed.
func (s *Slot) rareOrZero() *rareState {
	if r := s.rare.Load(); r != nil {
		return r
	}
	return &noRareState
}

var noRareState rareState

// Group returns the slot's Group, also to functions of Options that are called before Start has
// returned.
func (s *Slot) Group() *Group { return s.group }

// Number returns the slot's number, which no other slot of the Group has. It is from 0 to
// Options.Size-1 for the slots with which the Group began. The number of a slot that was removed goes
// to another one.
func (s *Slot) Number() int { return int(s.number) }

// Key returns the slot's key: that of Group.Add or Options.Key, or the number in decimal.
func (s *Slot) Key() string {
	if s.key == "" {
		return strconv.Itoa(int(s.number))
	}
	return s.key
}

// Value returns what SlotOptions.Value or SetValue has set, nil if neither has.
func (s *Slot) Value() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rareOrZero().value
}

// SetValue keeps a value of the application's with the slot, also over reconnects and after the
// slot has ended.
func (s *Slot) SetValue(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ensureRare().value = v
}

// Context returns a context that ends with the slot. That is when the slot was removed, its
// connection or attempt has ended and the functions of Options have returned, or when Shutdown has:
// no function of Options is called for the slot any more. context.Cause then gives ErrRemoved or
// ErrClosed.
func (s *Slot) Context() context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.ensureRare()
	switch {
	case r.ctx != nil:
	case s.endedLocked():
		r.ctx, r.end = context.WithCancelCause(context.Background())
		r.end(ErrRemoved)
	default:
		r.ctx, r.end = context.WithCancelCause(s.group.slotsCtx)
	}
	return r.ctx
}

// State returns what the slot is doing.
func (s *Slot) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return stateOf(s.phase, s.intent)
}

// Err returns the error with which the last attempt failed or the last connection was lost, a
// *DownError. It is nil while the slot is up, and until its first attempt has ended.
func (s *Slot) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return nil
	}
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
	var dead *websock.Conn
	switch s.phase {
	case delayed:
		s.handleLocked(eventDue)
	case up:
		dead = s.keepAliveLocked()
	}
	s.mu.Unlock()
	if dead != nil {
		dead.Abort(websock.ErrIdle) // OnClose follows
	}
}
