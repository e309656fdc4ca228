package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing/synctest"
	"time"
)

// A world is one simulation: events in the order of time, all in one synctest bubble. After each event
// all goroutines of the members run until they wait for something; then comes the next event. So what
// happens depends on the seed alone. What several goroutines do at the same time must not depend on
// which of them comes first: under the race detector the scheduler runs them in random order.
type world struct {
	sc    scenario
	rng   *rand.Rand // of the schedule of faults
	start time.Time
	kick  chan struct{} // an event was added before the one that run waits for

	mu         sync.Mutex // held while an event runs, and by what members call
	events     eventHeap
	seq        uint64
	waiting    time.Duration // until when run waits
	failure    string        // the first invariant that was broken
	closing    bool
	stormy     bool
	stormUntil time.Duration
	trace      *trace

	server *server
	nodes  []*node
	check  *checker
}

// An event is something that happens at a time.
type event struct {
	at  time.Duration
	seq uint64
	run func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = event{}
	*h = (*h)[:last]
	return e
}

// newWorld makes a world without members. It has to be called in a bubble.
func newWorld(sc scenario, tr *trace) *world {
	w := &world{
		sc:    sc,
		rng:   rand.New(rand.NewPCG(sc.seed, 1)),
		start: time.Now(),
		kick:  make(chan struct{}, 1),
		trace: tr,
	}
	w.server = newServer(w)
	w.check = newChecker(w)
	return w
}

func (w *world) now() time.Duration { return time.Since(w.start) }

// afterLocked runs f after d, with the lock.
func (w *world) afterLocked(d time.Duration, f func()) {
	at := w.now() + max(d, 0)
	w.seq++
	heap.Push(&w.events, event{at, w.seq, f})
	if at < w.waiting {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
}

// run lets time pass. It ends early if an invariant is broken, and returns false.
func (w *world) run(d time.Duration) bool {
	until := w.now() + d
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		synctest.Wait()
		w.mu.Lock()
		now := w.now()
		switch {
		case w.failure != "":
			w.mu.Unlock()
			return false
		case len(w.events) > 0 && w.events[0].at <= now:
			heap.Pop(&w.events).(event).run()
			w.mu.Unlock()
			continue
		case now >= until:
			w.mu.Unlock()
			return true
		}
		w.waiting = until
		if len(w.events) > 0 {
			w.waiting = min(until, w.events[0].at)
		}
		wait := w.waiting - now
		w.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-w.kick:
		}
	}
}

// failLocked says that an invariant is broken.
func (w *world) failLocked(format string, args ...any) {
	if w.failure == "" && !w.closing {
		w.failure = fmt.Sprintf(format, args...)
		w.logLocked("FAILED: %s", w.failure)
	}
}

// logLocked writes a line of the trace, if there is one.
func (w *world) logLocked(format string, args ...any) {
	if w.trace != nil {
		w.trace.add(w.now(), fmt.Sprintf(format, args...))
	}
}

// close ends all members and waits for their goroutines.
func (w *world) close() {
	w.mu.Lock()
	w.closing = true
	for _, n := range w.nodes {
		n.killLocked()
	}
	w.mu.Unlock()
	for _, n := range w.nodes {
		<-n.done
	}
}

// A trace has the last lines of what happened.
type trace struct {
	lines []string
	limit int
}

func (t *trace) add(at time.Duration, line string) {
	if len(t.lines) >= 2*t.limit {
		t.lines = append(t.lines[:0], t.lines[t.limit:]...)
	}
	t.lines = append(t.lines, fmt.Sprintf("%12.6f %s", at.Seconds(), line))
}

// between returns a random duration from least to most.
func between(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}
