package fanout

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/timing"
)

// A Group keeps the connections of its slots open, from Start to Shutdown. Slots can be added and
// removed meanwhile. Its methods may be called from any goroutine, also from the functions of Options.
type Group struct {
	options   Options
	members   members
	heartbeat *keepalive.Policy

	began     time.Time
	scheduler timing.Scheduler
	dials     *dialQueue
	addresses *addressBook // nil: no Rotation
	memory    *targetMemory
	rechooser rechooser
	targets   *targetSet // Options.Targets; nil: there is Choose
	writers   workerPool
	budget    budget
	counts    counters
	topics    topics

	life       atomic.Uint32   // a lifePhase
	dialCtx    context.Context // ends when Shutdown begins
	stopDials  context.CancelFunc
	connCtx    context.Context // ends when Shutdown cuts the connections that are left
	abortConns context.CancelFunc
	slotsCtx   context.Context // ends when Shutdown has
	endSlots   context.CancelCauseFunc

	mu        sync.Mutex
	inState   [states + 1]int // slots; the last one: those that were removed and have not ended
	running   int             // goroutines and calls that Shutdown waits for
	changes   uint64          // of inState and running
	waiters   []*waiter
	toEnqueue []*Slot // into dials
	enqueuing bool    // a goroutine does that
}

// A lifePhase is how far a Group has come.
type lifePhase uint32

const (
	lifeOpen    lifePhase = iota
	lifeClosing           // Shutdown was called
	lifeOver              // Shutdown has returned: no function of Options is called any more
)

func (g *Group) closing() bool { return lifePhase(g.life.Load()) >= lifeClosing }
func (g *Group) over() bool    { return lifePhase(g.life.Load()) >= lifeOver }

// Start returns a Group that begins to dial at once. An error says which of the options can't be
// used. The functions of Options may be called before Start has returned to its caller;
// Slot.Group gives them the Group.
func Start(o Options) (*Group, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	heartbeat, err := o.heartbeat()
	if err != nil {
		return nil, err
	}
	g := &Group{options: o, heartbeat: heartbeat, began: time.Now()}
	g.memory = newTargetMemory(o.Failover)
	if g.targets, err = g.optionTargets(); err != nil {
		return nil, err
	}
	if err := g.initSlots(); err != nil {
		return nil, err
	}
	g.writers.group, g.rechooser.group = g, g
	g.addresses = newAddressBook(g, o.Rotation)
	g.budget.init(max(o.QueueBudget, 0))
	g.dials = newDialQueue(o.Pace, (*attempt).start, g.log)
	g.dialCtx, g.stopDials = context.WithCancel(context.Background())
	g.connCtx, g.abortConns = context.WithCancel(context.Background())
	g.slotsCtx, g.endSlots = context.WithCancelCause(context.Background())
	g.enqueue(slices.Collect(g.Slots())...)
	return g, nil
}

// initSlots makes the slots of Options.Size. Nobody else knows the Group yet.
func (g *Group) initSlots() error {
	m := &g.members
	m.byNumber = make([]*Slot, 0, g.options.Size)
	for number := range g.options.Size {
		key := ""
		if g.options.Key != nil {
			if key = g.options.Key(number); key == "" {
				return errNoKey
			}
			if m.byKey[key] != nil {
				return ErrKeyInUse
			}
		}
		m.addLocked(g.newSlot(key))
	}
	g.inState[Waiting] = m.count
	return nil
}

// now returns the time since the Group began.
func (g *Group) now() time.Duration { return time.Since(g.began) }

// Len returns the number of slots.
func (g *Group) Len() int { return g.members.len() }

// Slot returns the slot that has the number, nil if there is none.
func (g *Group) Slot(number int) *Slot { return g.members.at(number) }

// Slots returns all slots in the order of their numbers. No lock is held while they are visited. A
// slot that is added or removed meanwhile may be visited or not.
func (g *Group) Slots() iter.Seq[*Slot] { return g.members.all() }

// Find returns the slot that has the key, nil if there is none.
func (g *Group) Find(key string) *Slot { return g.members.find(key) }

// SetRate changes Pace.Rate from now on: 0 means DefaultRate, and a negative rate that there is no
// bound. What is not a number changes nothing.
func (g *Group) SetRate(rate float64) { g.dials.setRate(rate) }

// Count returns how many slots are in a state. Slots that were removed don't count. It costs the same
// for any number of slots.
func (g *Group) Count(s State) int {
	if s >= states {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inState[s]
}

// Wait waits until every slot is up or has stopped: none is Waiting or Connecting. Slots that were
// removed don't count. The error is that of ctx.
func (g *Group) Wait(ctx context.Context) error {
	return g.waitUntil(ctx, func() bool { return g.inState[Waiting]+g.inState[Connecting] == 0 })
}

// WaitUp waits until at least n slots are up. Slots that were removed don't count. The error is that of
// ctx, or ErrDown as soon as fewer than n slots are left that have not stopped, as after Shutdown. Slot.Err
// says why a slot isn't up.
func (g *Group) WaitUp(ctx context.Context, n int) error {
	possible := true
	err := g.waitUntil(ctx, func() bool {
		possible = g.inState[Waiting]+g.inState[Connecting]+g.inState[Up] >= n
		return g.inState[Up] >= n || !possible
	})
	if err == nil && !possible {
		return ErrDown
	}
	return err
}

// A waiter waits until a condition holds.
type waiter struct {
	condition func() bool // is called with the Group's lock held
	done      chan struct{}
}

func (g *Group) waitUntil(ctx context.Context, condition func() bool) error {
	w := &waiter{condition, make(chan struct{})}
	g.mu.Lock()
	g.waiters = append(g.waiters, w)
	g.wakeWaitersLocked()
	g.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiters = slices.DeleteFunc(g.waiters, func(other *waiter) bool { return other == w })
	return ctx.Err()
}

// wakeWaitersLocked wakes the waiters whose condition holds, after inState or running has changed.
func (g *Group) wakeWaitersLocked() {
	g.changes++
	waiting := g.waiters[:0]
	for _, w := range g.waiters {
		if w.condition() {
			close(w.done)
		} else {
			waiting = append(waiting, w)
		}
	}
	clear(g.waiters[len(waiting):])
	g.waiters = waiting
}

// countState counts a slot that goes from one state to another.
func (g *Group) countState(from, to State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inState[from]--
	g.inState[to]++
	g.wakeWaitersLocked()
}

// addRunning counts a goroutine or call that Shutdown waits for, until doneRunning.
func (g *Group) addRunning() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running++
}

// addRunningBefore is addRunning, unless the Group has come to a phase of its life. It reports whether it
// hasn't.
func (g *Group) addRunningBefore(p lifePhase) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if lifePhase(g.life.Load()) >= p {
		return false
	}
	g.running++
	return true
}

func (g *Group) doneRunning() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.wakeWaitersLocked()
}

// logSlot logs something about a slot.
func (g *Group) logSlot(level slog.Level, msg string, s *Slot, attrs ...slog.Attr) {
	if g.logs(level) {
		g.log(level, msg, append([]slog.Attr{slog.String("slot", s.Key())}, attrs...)...)
	}
}

func (g *Group) log(level slog.Level, msg string, attrs ...slog.Attr) {
	if g.logs(level) {
		g.options.Logger.LogAttrs(context.Background(), level, msg, attrs...)
	}
}

func (g *Group) logs(level slog.Level) bool {
	return g.options.Logger != nil && !g.over() && g.options.Logger.Enabled(context.Background(), level)
}
