package loadgen

import (
	"sync"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/schedule"
)

// A timedEvent is something to do at a certain time. Times are those of LoadGen.now.
type timedEvent interface {
	// run is called when the event is due, or as soon afterwards as possible. It returns when it is due
	// next. It must not block, since other events wait for it.
	run(now time.Duration) (next time.Duration)
}

// A scheduler runs events when they are due, in a few goroutines.
type scheduler struct {
	runners  []*eventRunner
	finished sync.WaitGroup
}

// startScheduler starts the goroutines. stop must be called.
func startScheduler(now func() time.Duration, goroutines int) *scheduler {
	s := &scheduler{runners: make([]*eventRunner, goroutines)}
	for i := range s.runners {
		r := &eventRunner{now: now, alarm: newAlarm()}
		s.runners[i] = r
		s.finished.Go(r.run)
	}
	return s
}

// add adds an event. Those with the same number run one after another, in the same goroutine.
func (s *scheduler) add(number int, due time.Duration, e timedEvent) {
	s.runners[number%len(s.runners)].add(due, e)
}

// stop ends the goroutines and waits until they have ended: no event runs after that.
func (s *scheduler) stop() {
	for _, r := range s.runners {
		r.stop()
	}
	s.finished.Wait()
}

// An eventRunner runs events in one goroutine.
type eventRunner struct {
	now func() time.Duration

	mu      sync.Mutex // guards all below, but for alarm.wait
	alarm   alarm
	queue   schedule.Queue[timedEvent]
	stopped bool
}

// minSleep is how long a goroutine sleeps at least when nothing is due. Waking up takes tens of
// microseconds of CPU time, so at high rates what is due soon waits to be sent with what follows.
const minSleep = 100 * time.Microsecond

func (r *eventRunner) run() {
	defer r.alarm.close()
	for {
		for now := r.now(); r.runOne(now); now = r.now() {
		}
		if !r.setAlarm() {
			return
		}
		r.alarm.wait()
	}
}

// runOne runs an event that is due, and returns false if there is none.
func (r *eventRunner) runOne(now time.Duration) bool {
	e, due := r.take(now)
	if !due {
		return false
	}
	next := e.run(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue.Add(next, e)
	return true
}

// take returns an event that is due, and false if there is none or the runner was stopped.
func (r *eventRunner) take(now time.Duration) (e timedEvent, due bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil, false
	}
	e, _, due = r.queue.Take(now)
	return e, due
}

// setAlarm sets the alarm for the next event, and returns false if the runner was stopped.
func (r *eventRunner) setAlarm() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if next, some := r.queue.Next(); some { // otherwise add sets it
		r.alarm.set(max(next-r.now(), minSleep))
	}
	return !r.stopped
}

func (r *eventRunner) add(due time.Duration, e timedEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	next, some := r.queue.Next()
	r.queue.Add(due, e)
	if !some || due < next {
		r.alarm.set(due - r.now())
	}
}

func (r *eventRunner) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.alarm.set(0)
}
