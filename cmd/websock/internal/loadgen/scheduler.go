package loadgen

import (
	"runtime"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/schedule"
)

// A timedEvent is something to do at a certain time. Times are those of LoadGen.now.
type timedEvent interface {
	// run is called when the event is due, or as soon afterwards as possible. It returns when it is due
	// next, and never if that is not again. It must not block, since other events wait for it.
	run(now time.Duration) (next time.Duration)
}

// never is the time of what is not due again.
const never = time.Duration(-1)

// A scheduler runs events when they are due, in a few goroutines.
type scheduler struct {
	now      func() time.Duration
	runners  []*eventRunner
	quit     chan struct{}
	finished sync.WaitGroup
}

// startScheduler starts the goroutines. stop must be called.
func startScheduler(now func() time.Duration) *scheduler {
	s := &scheduler{now: now, runners: make([]*eventRunner, runtime.GOMAXPROCS(0)), quit: make(chan struct{})}
	for i := range s.runners {
		r := &eventRunner{wake: make(chan struct{}, 1)}
		s.runners[i] = r
		s.finished.Go(func() { s.run(r) })
	}
	return s
}

// add adds an event. Those with the same number run one after another, in the same goroutine.
func (s *scheduler) add(number int, due time.Duration, e timedEvent) {
	s.runners[number%len(s.runners)].add(due, e)
}

// stop ends the goroutines and waits until they have ended: no event runs after that.
func (s *scheduler) stop() {
	close(s.quit)
	s.finished.Wait()
}

// run runs the events of one goroutine.
func (s *scheduler) run(r *eventRunner) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-r.wake:
		case <-s.quit:
			return
		}
		for s.runOne(r) {
			select {
			case <-s.quit:
				return
			default:
			}
		}
		if next, some := r.next(); some { // otherwise add wakes it
			timer.Reset(next - s.now())
		}
	}
}

// runOne runs the event that is due, and returns false if there is none.
func (s *scheduler) runOne(r *eventRunner) bool {
	now := s.now()
	e, due := r.take(now)
	if !due {
		return false
	}
	if next := e.run(now); next != never {
		r.put(next, e)
	}
	return true
}

// An eventRunner has the events of one goroutine.
type eventRunner struct {
	wake chan struct{} // has an element if an event was added that is due before all others

	mu    sync.Mutex
	queue schedule.Queue[timedEvent]
}

func (r *eventRunner) add(due time.Duration, e timedEvent) {
	next, some := r.next()
	r.put(due, e)
	if !some || due < next {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

func (r *eventRunner) next() (due time.Duration, some bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.queue.Next()
}

func (r *eventRunner) take(now time.Duration) (e timedEvent, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, _, due = r.queue.Take(now)
	return e, due
}

func (r *eventRunner) put(due time.Duration, e timedEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.Add(due, e)
}
