package fanout

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/internal/keepalive"
	"github.com/seed004e8d11/websock/internal/timing"
)

// A Group keeps the connections of its slots open. Its methods may be called from any
// goroutine.
type Group struct {
	options Options
	slots   []Slot
	byKey   map[string]*Slot // nil: keys are numbers

	heartbeat *keepalive.Policy
	began     time.Time
	scheduler timing.Scheduler
	dials     *dialQueue
	crew      crew
	budget    budget
	counts    counts
	closing   atomic.Bool     // Shutdown was called
	over      atomic.Bool     // Shutdown has returned: no function of Options is called any more
	dialling  context.Context // ends when Shutdown begins
	stop      context.CancelFunc
	lasting   context.Context // ends when Shutdown cuts what is left
	cut       context.CancelFunc

	mu        sync.Mutex
	inState   [states]int
	running   int       // goroutines and calls that Shutdown waits for
	changes   uint64    // of the two
	waiters   []*waiter // for them to be as they want
	toEnlist  []*Slot   // for their turn to dial
	enlisting bool      // a goroutine does that
	finishing bool      // a Shutdown ends the slots, or has
}

// Start returns a Group that dials from now on. An error says that the options make no sense.
// The functions of Options may be called before Start has returned to its caller; Slot.Group
// has the Group for them.
func Start(o Options) (*Group, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	heartbeat, err := o.heartbeat()
	if err != nil {
		return nil, err
	}
	g := &Group{options: o, heartbeat: heartbeat, slots: make([]Slot, o.Size), began: time.Now()}
	if err := g.nameSlots(); err != nil {
		return nil, err
	}
	g.inState[Waiting] = o.Size
	g.crew.group = g
	g.budget.init(max(o.QueueBudget, 0))
	g.dials = newDialQueue(o.Pace, (*attempt).start, g.logGroup)
	g.dialling, g.stop = context.WithCancel(context.Background())
	g.lasting, g.cut = context.WithCancel(context.Background())
	all := make([]*Slot, len(g.slots))
	for i := range all {
		all[i] = &g.slots[i]
	}
	g.enlist(all...)
	return g, nil
}

// nameSlots gives the slots their numbers and keys.
func (g *Group) nameSlots() error {
	if g.options.Key != nil {
		g.byKey = make(map[string]*Slot, len(g.slots))
	}
	for i := range g.slots {
		s := &g.slots[i]
		s.group, s.number = g, i
		if g.byKey != nil {
			s.key = g.options.Key(i)
			if s.key == "" || g.byKey[s.key] != nil {
				return errKey
			}
			g.byKey[s.key] = s
		}
	}
	return nil
}

// now returns the time since the Group began.
func (g *Group) now() time.Duration { return time.Since(g.began) }

// Len returns the number of slots.
func (g *Group) Len() int { return len(g.slots) }

// Slot returns the slot of a number, 0 to Len()-1.
func (g *Group) Slot(number int) *Slot { return &g.slots[number] }

// Slots returns all slots, in the order of their numbers.
func (g *Group) Slots() iter.Seq[*Slot] {
	return func(yield func(*Slot) bool) {
		for i := range g.slots {
			if !yield(&g.slots[i]) {
				return
			}
		}
	}
}

// Find returns the slot of a key, nil if there is none.
func (g *Group) Find(key string) *Slot {
	if g.byKey != nil {
		return g.byKey[key]
	}
	number, err := strconv.Atoi(key)
	if err != nil || number < 0 || number >= len(g.slots) || strconv.Itoa(number) != key {
		return nil
	}
	return &g.slots[number]
}

// Wait waits until no slot is waiting for its first or next connection or connecting: every
// one is up or has stopped. The error is that of ctx.
func (g *Group) Wait(ctx context.Context) error {
	return g.waitUntil(ctx, func() bool { return g.inState[Waiting]+g.inState[Connecting] == 0 })
}

// WaitUp waits until at least n slots are up. The error is that of ctx, or ErrDown if so many
// have stopped that it can't be.
func (g *Group) WaitUp(ctx context.Context, n int) error {
	possible := true
	err := g.waitUntil(ctx, func() bool {
		possible = len(g.slots)-g.inState[Stopped] >= n
		return g.inState[Up] >= n || !possible
	})
	if err == nil && !possible {
		return ErrDown
	}
	return err
}

// A waiter waits for something that is under the Group's lock.
type waiter struct {
	until func() bool // is called with the lock held
	done  chan struct{}
}

func (g *Group) waitUntil(ctx context.Context, until func() bool) error {
	w := &waiter{until, make(chan struct{})}
	g.mu.Lock()
	g.waiters = append(g.waiters, w)
	g.tell()
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

// moved takes a change of a slot's state.
func (g *Group) moved(from, to State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inState[from]--
	g.inState[to]++
	g.tell()
}

// begin says that something begins for whose end, done, Shutdown has to wait.
func (g *Group) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running++
}

func (g *Group) done() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running--
	g.tell()
}

// tell wakes those for whom it is time. The lock is held.
func (g *Group) tell() {
	g.changes++
	waiting := g.waiters[:0]
	for _, w := range g.waiters {
		if w.until() {
			close(w.done)
		} else {
			waiting = append(waiting, w)
		}
	}
	clear(g.waiters[len(waiting):])
	g.waiters = waiting
}

// log logs something about a slot.
func (g *Group) log(level slog.Level, what string, s *Slot, more ...slog.Attr) {
	if g.logs(level) {
		g.logGroup(level, what, append([]slog.Attr{slog.String("slot", s.Key())}, more...)...)
	}
}

// logGroup logs something that isn't about a single slot.
func (g *Group) logGroup(level slog.Level, what string, more ...slog.Attr) {
	if g.logs(level) {
		g.options.Logger.LogAttrs(context.Background(), level, what, more...)
	}
}

func (g *Group) logs(level slog.Level) bool {
	return g.options.Logger != nil && !g.over.Load() && g.options.Logger.Enabled(context.Background(), level)
}
