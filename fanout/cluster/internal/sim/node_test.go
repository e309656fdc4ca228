package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/member"
)

// A node is one process: a member, its connections, and its way to the store.
type node struct {
	w      *world
	number int
	name   string
	weight float64
	rng    *rand.Rand

	origin   time.Duration // what its clock showed when the world began
	speed    float64       // of its clock
	latency  time.Duration // of its way to the store, one way, on average
	slow     float64       // by what factor that is worse now
	dialTime time.Duration

	client *client
	holder *holder
	member *member.Member
	stop   context.CancelFunc

	state   nodeState
	wake    chan struct{} // closed unless it is paused
	killed  chan struct{}
	done    chan struct{} // closed when its goroutines have ended
	dead    bool
	diedAt  time.Duration
	held    []func() // what waits until it is awake
	pauses  int
	wokenAt time.Duration // when it was paused for the last time; never: not at all
	cut     bool          // from the store
	cuts    int
	restore []func() // what waits until it reaches the store again
	watches []*watch
}

// A nodeState is what a process does.
type nodeState uint8

const (
	running nodeState = iota
	leaving
	paused
	leavingPaused
)

// startLocked starts a process. Several may have the same name, but their IDs differ.
func (w *world) startLocked(name string) *node {
	number := len(w.nodes)
	rng := rand.New(rand.NewPCG(w.sc.seed, uint64(number)<<32|3))
	n := &node{
		w: w, number: number, name: name, rng: rng, weight: 1,
		origin:   between(rng, 0, time.Hour),
		speed:    1 + (rng.Float64()-0.5)/100,
		latency:  between(rng, w.sc.latency/4, w.sc.latency),
		slow:     1,
		dialTime: between(rng, 10*time.Millisecond, 300*time.Millisecond),
		wake:     make(chan struct{}),
		killed:   make(chan struct{}),
		done:     make(chan struct{}),
		wokenAt:  -never,
	}
	if w.sc.weights {
		n.weight = []float64{1, 1, 2, 0.5}[rng.IntN(4)]
	}
	close(n.wake)
	n.client = &client{n: n, counts: map[string]uint64{}}
	n.holder = newHolder(n)
	n.member = member.New(member.Options{
		Settings: machine.Settings{
			ID:              fmt.Sprintf("%s-%d", name, number),
			Weight:          n.weight,
			Partitions:      w.sc.partitions,
			Lease:           w.sc.lease,
			Margin:          w.sc.margin,
			Rate:            w.sc.rate,
			Overlap:         w.sc.overlap,
			KeepConnections: w.sc.keep,
		},
		Store:  n.client,
		Holder: n.holder,
		Clock:  n,
		Observe: func(e machine.Event) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.logLocked("%s: event: %s %s %d token %d, took %v %s", n, e.Kind, e.Member, e.Partition, e.Token, e.Took, e.Cause)
		},
	})
	w.nodes = append(w.nodes, n)
	w.logLocked("%s: started, weight %v", n, n.weight)
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	go func() {
		defer close(n.done)
		err := n.member.Run(ctx)
		w.mu.Lock()
		defer w.mu.Unlock()
		if n.dead {
			return
		}
		if err != nil || n.state != leaving {
			w.failLocked("%s: Run has returned %v", n, err)
		}
		if len(n.holder.parts) > 0 {
			w.failLocked("%s has left, and still has connections", n)
		}
		n.killLocked()
	}()
	return n
}

// leaveLocked has the process leave, as after SIGTERM.
func (n *node) leaveLocked() {
	if n.dead || n.state != running {
		return
	}
	n.state = leaving
	n.w.logLocked("%s: leaves", n)
	go func() {
		if err := n.member.Leave(context.Background()); err != nil && !errors.Is(err, context.Canceled) {
			n.w.mu.Lock()
			defer n.w.mu.Unlock()
			n.w.failLocked("%s: Leave has returned %v", n, err)
		}
	}()
}

func (n *node) String() string { return fmt.Sprintf("%s#%d", n.name, n.number) }

func (n *node) pausedLocked() bool { return n.state == paused || n.state == leavingPaused }

// Now is the time that the process sees: its clock has an origin and a speed of its own.
func (n *node) Now() time.Duration {
	return n.origin + time.Duration(float64(n.w.now())*n.speed)
}

// latencyLocked returns how long the next message to or from the store takes.
func (n *node) latencyLocked(fate *rand.Rand) time.Duration {
	return time.Duration(float64(n.latency) * n.slow * (0.5 + fate.Float64()))
}

// watchLatencyLocked returns how long the next change takes: mostly as long as other messages.
func (n *node) watchLatencyLocked(fate *rand.Rand) time.Duration {
	d := n.latencyLocked(fate)
	if fate.Float64() < n.w.lossyLocked().lags {
		d += between(fate, 0, n.w.sc.lease/2)
	}
	return d
}

// heldLocked has f run, with the lock, when the process is awake.
func (n *node) heldLocked(f func()) { n.held = append(n.held, f) }

// awakeLocked runs f now or when the process is awake.
func (n *node) awakeLocked(f func()) {
	switch {
	case n.dead:
	case n.pausedLocked():
		n.heldLocked(f)
	default:
		f()
	}
}

// waitAwake waits without the lock until the process is awake.
func (n *node) waitAwake() {
	for {
		n.w.mu.Lock()
		wake := n.wake
		n.w.mu.Unlock()
		select {
		case <-n.killed:
			return
		case <-wake:
		}
		n.w.mu.Lock()
		awake := !n.pausedLocked()
		n.w.mu.Unlock()
		if awake {
			return
		}
	}
}

// pauseLocked stops the process, as SIGSTOP does. Its connections stay.
func (n *node) pauseLocked() {
	if n.dead || n.pausedLocked() {
		return
	}
	n.holder.advanceLocked()
	n.state = map[nodeState]nodeState{running: paused, leaving: leavingPaused}[n.state]
	n.wake = make(chan struct{})
	n.pauses++
	n.w.logLocked("%s: paused", n)
}

// wakeLocked lets the process go on. First of all it may want to dial, and to send; then comes what
// has waited, in any order.
func (n *node) wakeLocked() {
	if n.dead || !n.pausedLocked() {
		return
	}
	n.state = map[nodeState]nodeState{paused: running, leavingPaused: leaving}[n.state]
	n.wokenAt = n.w.now()
	n.w.logLocked("%s: awake", n)
	n.holder.advanced = n.w.now()
	n.w.check.usesLocked(n)
	close(n.wake)
	held := n.held
	n.held = nil
	for _, f := range held {
		n.w.afterLocked(between(n.rng, 0, 100*time.Microsecond), func() { n.awakeLocked(f) })
	}
}

// cutLocked separates the process from the store. After a while it notices that, and its watches end.
func (n *node) cutLocked() {
	if n.cut || n.dead {
		return
	}
	n.cut = true
	n.cuts++
	cut := n.cuts
	n.w.logLocked("%s: cut off", n)
	n.w.afterLocked(between(n.rng, 0, n.w.sc.lease), func() {
		if n.cut && n.cuts == cut {
			n.awakeLocked(n.endWatchesLocked)
		}
	})
}

// restoreLocked lets the process reach the store again. What waited for that arrives, or the watches
// end.
func (n *node) restoreLocked() {
	if !n.cut {
		return
	}
	n.cut = false
	n.w.logLocked("%s: no longer cut off", n)
	if n.rng.Float64() < 0.5 {
		n.awakeLocked(n.endWatchesLocked)
	}
	restore := n.restore
	n.restore = nil
	for _, f := range restore {
		f()
	}
}

// onRestoreLocked has f run d after the process reaches the store again.
func (n *node) onRestoreLocked(d time.Duration, f func()) {
	n.restore = append(n.restore, func() { n.w.afterLocked(d, f) })
}

func (n *node) endWatchesLocked() {
	for len(n.watches) > 0 {
		n.watches[0].endLocked()
	}
}

// killLocked ends the process at once. The kernel closes its connections.
func (n *node) killLocked() {
	if n.dead {
		return
	}
	n.holder.advanceLocked()
	n.dead, n.diedAt = true, n.w.now()
	n.w.logLocked("%s: killed", n)
	n.w.check.diedLocked(n)
	n.endWatchesLocked()
	n.held, n.restore = nil, nil
	close(n.killed)
	n.stop()
}

// usesLocked reports whether the process may use the connections of a partition now.
func (n *node) usesLocked(p int) bool {
	_, ok := n.member.Holds(p)
	return ok && !n.dead
}
